import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { EvaluationResult } from "../../src/evaluation/result.js";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";

const folder = useFolder();
const FILES = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "10"];
const evaluate = (...args: string[]) => run(["evaluate", ...args], { cwd: folder.path });

describe("evaluate", () => {
  it("by loss: base, full and a cut in pairs, as words and as JSON", async () => {
    const { code, stdout } = await evaluate(...FILES, "--candidates", "upto:10,without:2,7", "--json", "e.json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/nll \(nats per token\)\ncandidate +layers +mean/);
    expect(stdout).toMatch(/^upto:12 +12 .* - /m);
    const result = JSON.parse(await readFile(join(folder.path, "e.json"), "utf8")) as EvaluationResult;
    expect(result).toMatchObject({ schema: "lora-boundary/evaluation@1", chosenOn: null, data: { samples: 10 } });
    expect(result.candidates.map(({ id }) => id)).toEqual(["upto:0", "upto:12", "upto:10", "without:2,7"]);
    const [base, full] = result.candidates;
    expect(full!.scores[0]!.mean).toBeLessThan(base!.scores[0]!.mean);
    expect(full!.scores[0]!.vsBase).toMatchObject({ wins: 10, losses: 0, ties: 0 });
    for (const { scores } of result.candidates) expect(scores[0]!.perSample).toHaveLength(10);
    expect(violations(result)).toEqual([]);
  });

  it("by answers: each candidate writes greedily what its samples ask for, and how many were cut is said", async () => {
    const metrics = ["--metric", "rouge-l,./long.mjs", "--json", "answers.json", "--candidates", "upto:11"];
    await writeFile(join(folder.path, "long.mjs"), "export default (answer) => answer.length;");
    const { code, stdout } = await evaluate(...FILES, ...metrics, "--answer-tokens", "12", "--stop", "known", "pies");
    expect(code).toBe(0);
    expect(stdout).toMatch(/rouge-l \(points of 1\)[^]*\.\/long\.mjs/);
    const result = JSON.parse(await readFile(join(folder.path, "answers.json"), "utf8")) as EvaluationResult;
    const [, full, cut] = result.candidates;
    expect(violations(result)).toEqual([]);
    expect(full!.answers).toHaveLength(10);
    expect(new Set(full!.answers).size).toBe(10);
    for (const text of [...full!.answers!, ...cut!.answers!]) expect(text).not.toMatch(/known|pies/);
    expect(full!.scores[1]!.perSample).toEqual(full!.answers!.map((text) => text.length));
    expect(full!.scores[0]!.vsBase!.gain.low).toBeGreaterThan(0);
    expect(result.data.notices.join()).toMatch(/\d+ of 30 answers did not end within 12 tokens/);
    const alone = await evaluate(
      ...FILES,
      ...metrics.slice(0, 4),
      "--force",
      "--no-drafts",
      "--sequences",
      "1",
      "--answer-tokens",
      "12",
      "--stop",
      "known",
      "pies",
    );
    expect(alone.code).toBe(0);
    const again = JSON.parse(await readFile(join(folder.path, "answers.json"), "utf8")) as EvaluationResult;
    expect(again.candidates[1]!.answers).toEqual(full!.answers);
  });

  it("--speed: what base and full adapter cost beside each other, in words and in the JSON", async () => {
    const { code, stdout } = await evaluate(...FILES, "--speed", "--json", "speed.json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n\nSpeed\n +prompt x1 +write x1 [^]*\nbase +[\d,]+ [^]*\nfull +[\d,]+ [^]*Merging/);
    const result = JSON.parse(await readFile(join(folder.path, "speed.json"), "utf8")) as EvaluationResult;
    const { speed } = result;
    expect(violations(result)).toEqual([]);
    expect(speed!.rows.map(({ id }) => id)).toEqual(["base", "full", "full"]);
    expect(speed!.machine).toMatchObject({ backend: "CPU", threads: 1 });
  });

  it("--from: the chosen candidate, with a warning where samples were used for choosing", async () => {
    await run(["calibrate", ...FILES, "--margin", "0.2", "--json", "chosen.json"], { cwd: folder.path });
    const { code, stderr, stdout } = await evaluate(...FILES, "--from", "chosen.json", "--json", "from.json");
    expect(code).toBe(0);
    expect(stderr).toContain("Warning: 10 of 10 samples were used for choosing in chosen.json");
    expect(stdout).toMatch(/^upto:\d+ /m);
    const result = JSON.parse(await readFile(join(folder.path, "from.json"), "utf8")) as EvaluationResult;
    expect(result.chosenOn).toEqual({ path: "chosen.json", sharedLines: result.data.lines });
    expect(violations(result)).toEqual([]);
    const other = await evaluate(...FILES, "--from", "chosen.json", "--json", "chosen.json");
    expect(other.code).toBe(2);
  });

  it("--from: what calibrate has not written, or somebody has changed, is refused by field", async () => {
    const chosen = JSON.parse(await readFile(join(folder.path, "chosen.json"), "utf8")) as CalibrationResult;
    const [first, ...others] = chosen.candidates;
    const changed = { ...chosen, candidates: [{ ...first, layerScales: [1, 0] }, ...others] };
    await folder.write("changed.json", JSON.stringify(changed));
    await folder.write("trim.json", '{"schema":"lora-boundary/trim@1"}');
    const wrong = await evaluate(...FILES, "--from", "changed.json");
    expect(wrong).toMatchObject({ code: 3, stdout: "" });
    expect(wrong.stderr).toContain(
      "expected 12 strengths, one per layer for `candidates[0].layerScales` but received 2",
    );
    const other = await evaluate(...FILES, "--from", "trim.json");
    expect(other).toMatchObject({ code: 3, stdout: "" });
    expect(other.stderr).toContain(
      "expected `schema` to be lora-boundary/calibration@1 but received lora-boundary/trim@1",
    );
  });

  it.each([
    [["--metric", "rouge"], 2, "Expected one of nll, choice, exact, numeric, f1, rouge-l, bleu, chrf"],
    [["--candidates", "upto:99"], 2, "there are the layers 0 to 11"],
    [["--metric", "exact", "--stop", ""], 2, "texts that are not empty"],
    [["--metric", "exact", "--answer-tokens", "0"], 2, "an integer from 1"],
    [["--from", "none.json"], 3, "none.json: the result file cannot be read (ENOENT); check the path"],
    [["--from", DEMO.samples], 3, "expected a result that `calibrate --json` has written but the file is no JSON"],
  ])("%j: exit %i, nothing on stdout", async (flags, exitCode, message) => {
    const { code, stdout, stderr } = await evaluate(...FILES, ...flags);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
  });
});
