import { describe, expect, it } from "vitest";
import { readResult } from "../../src/results/read-result.js";
import type { CalibrationResult } from "../../src/result.js";
import { failure, useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";
import { kinds, results } from "../support/report-results.js";

const folder = useFolder();
const good = results.selected;
type Loose = Record<string, never>;

/** The result with a change made by hand. */
async function edited(change: (result: Loose) => void): Promise<string> {
  const copy = JSON.parse(JSON.stringify(good)) as Loose;
  change(copy);
  return folder.write("edited.json", JSON.stringify(copy));
}

describe("what calibrate writes", () => {
  it.each(kinds)("%s keeps to the published schema and is read back as it was", async (name, result) => {
    const written = JSON.stringify(result);
    expect(violations(JSON.parse(written) as object)).toEqual([]);
    const path = await folder.write(`${name}.json`, written);
    expect(await readResult(path)).toEqual(JSON.parse(written));
  });

  it("bounds that no sample can give come back as infinite", async () => {
    const path = await edited((result: Record<string, unknown>) => {
      const [first] = result["candidates"] as { gainVsFull: { low: unknown; high: unknown } }[];
      first!.gainVsFull.low = null;
      first!.gainVsFull.high = null;
      result["criticalValue"] = null;
    });
    const result = await readResult(path);
    expect(result.criticalValue).toBe(Infinity);
    expect(result.candidates[0]!.gainVsFull).toMatchObject({ low: -Infinity, high: Infinity });
  });

  it("fields of later versions pass, at every level", async () => {
    const path = await edited((result: Record<string, unknown>) => {
      result["later"] = { anything: [1] };
      (result["candidates"] as Record<string, unknown>[])[0]!["later"] = true;
      (result["candidates"] as Record<string, unknown>[])[1]!["family"] = "window";
      (result["data"] as Record<string, unknown>)["later"] = null;
    });
    expect(((await readResult(path)) as CalibrationResult & { later: unknown }).later).toEqual({ anything: [1] });
  });
});

describe("files that are not what calibrate has written", () => {
  const whole = JSON.stringify(good);
  it.each([
    ["missing", null, "RESULT_UNREADABLE", "cannot be read (ENOENT)"],
    ["empty", "", "RESULT_NOT_JSON", "the file is empty"],
    ["truncated", whole.slice(0, whole.length / 2), "RESULT_NOT_JSON", "is no JSON or ends too early"],
    ["a few bytes short", whole.slice(0, -2), "RESULT_NOT_JSON", "ends too early"],
    ["something else", "GGUF\u0000", "RESULT_NOT_JSON", "no JSON"],
    ["another JSON", "[1, 2]", "RESULT_SCHEMA", "received no such field"],
    [
      "another kind",
      '{"schema":"lora-boundary/trim@1"}',
      "RESULT_SCHEMA",
      "lora-boundary/trim@1; give a file that `calibrate --json`",
    ],
    [
      "another version",
      whole.replace("calibration@1", "calibration@2"),
      "RESULT_SCHEMA",
      "received lora-boundary/calibration@2; it is of another version",
    ],
  ])("%s", async (name, content, code, message) => {
    const path = content === null ? `${folder.path}/none.json` : await folder.write(`${name}.json`, content);
    const error = await failure(readResult(path));
    expect(error).toMatchObject({ code, exitCode: 3 });
    expect(error.message).toContain(message);
    expect(error.message.startsWith(path)).toBe(true);
  });

  const at = (path: string) => (value: unknown) => (result: Loose) => {
    const parts = path.split(".");
    const last = parts.pop()!;
    const owner = parts.reduce((it, part) => it[part]!, result);
    if (value === undefined) Reflect.deleteProperty(owner, last);
    else (owner as Record<string, unknown>)[last] = value;
  };
  it.each([
    ["candidates.2.perSample", [1, 2, 3], "candidates[2].perSample", "80 scores, one per sample", "received 3"],
    ["candidates.0.layerScales", [0], "candidates[0].layerScales", "strengths, one per layer", "received 1"],
    ["candidates.0.perSample.4", "x", "candidates[0].perSample[4]", "expected number or null", 'received "x"'],
    ["candidates.1.samples", 500, "candidates[1].samples", "80 as it has scores", "received 500"],
    ["candidates.1.perSample.3", null, "candidates[1].samples", "79 as it has scores", "received 80"],
    ["candidates.1.id", "upto:0", "candidates[1].id", "a name of its own", "upto:0 again"],
    ["candidates.1.verdict", "great", "candidates[1].verdict", "one of", 'received "great"'],
    ["candidates", [], "candidates", "at least 1 entry", "received none"],
    ["selected.candidate.layerScales", [1, 1], "selected.candidate.layerScales", "one per layer", "received 2"],
    ["selected.candidate.id", "upto:99", "selected.candidate.id", "the name of one of the candidates", "upto:99"],
    ["pareto.0.id", "ghost", "pareto[0].id", "the name of one of the candidates", "ghost"],
    ["data.samples", 0, "data.samples", "a value >= 1", "received 0"],
    ["data.lines", [1], "data.lines", "80 entries", "received 1"],
    ["adapter.layers", [0, 77], "adapter.layers[1]", "a layer below", "received 77"],
    ["margin", 2, "margin", "a value < 1", "received 2"],
    ["model", [], "model", "expected object", "an array of 0"],
    ["gate.gain", undefined, "gate.gain", "a value", "received nothing"],
    ["cost", undefined, "cost", "a value", "received nothing"],
  ])("edited by hand: %s", async (path, value, field, expected, received) => {
    const error = await failure(readResult(await edited(at(path)(value))));
    expect(error).toMatchObject({ code: "RESULT_FIELD", exitCode: 3 });
    expect(error.details["field"]).toBe(field);
    expect(error.message).toContain(`for \`${field}\``);
    expect(error.message).toContain(expected);
    expect(error.message).toContain(received);
  });
});
