import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { CalibrationResult, CandidateResult } from "../../src/result.js";
import { run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf } from "../support/gguf-files.js";
import { violations } from "../support/json-schemas.js";
import { results } from "../support/report-results.js";

const SOURCE = gguf(adapter([0, 1, 2, 3, 4, 5]));
const SHA256 = createHash("sha256").update(SOURCE).digest("hex");
const root = useFolder();
let folder = "";
let rounds = 0;
beforeEach(async () => {
  folder = join(root.path, `${rounds++}`);
  await mkdir(folder);
  await writeFile(join(folder, "adapter.gguf"), SOURCE);
  await save(resultWith());
});

const save = (result: CalibrationResult, name = "result.json") => writeFile(join(folder, name), JSON.stringify(result));
const trim = (...args: string[]) => run(["trim", "adapter.gguf", ...args, "-o", "small.gguf"], { cwd: folder });
const from = (id: string, ...args: string[]) => trim("--from", "result.json", "--candidate", id, ...args);

/** Six layers; boundaries, a boosted one and subsets, of which `upto:5` is the selected one; and candidates of one's own. */
function resultWith(more: readonly Partial<CandidateResult>[] = []): CalibrationResult {
  const { subset: base } = results;
  const [first] = base.candidates;
  return {
    ...base,
    adapter: { ...base.adapter, path: "runs/adapter.gguf", sha256: SHA256 },
    data: { ...base.data, sha256: "5a".repeat(32) },
    candidates: [...base.candidates, ...more.map((it) => ({ ...first!, family: "subset" as const, ...it }))],
  };
}

async function inspected(path = "small.gguf"): Promise<Record<string, unknown>> {
  const { stdout } = await run(["inspect", path, "--json"], { cwd: folder });
  return (JSON.parse(stdout) as { file: { provenance: Record<string, unknown> } }).file.provenance;
}

describe("a candidate that was tried", () => {
  const chosen = results.subset.selected!.candidate.id;

  it("worse: written all the same, and the file, the text and the JSON say so", async () => {
    const { retention } = results.subset.candidates.find(({ id }) => id === "upto:2")!;
    const { code, stdout, stderr } = await from("upto:2", "--json", "trim.json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.replaceAll("\n", " ")).toContain(
      "Candidate: upto:2 of result.json, not the selected one: worse, by nll on 80 samples, with a margin of 2.0 %; it keeps ",
    );
    const written = JSON.parse(await readFile(join(folder, "trim.json"), "utf8")) as Record<string, unknown>;
    expect(violations(written)).toEqual([]);
    expect(written).toMatchObject({
      keptLayers: [0, 1],
      from: {
        ...{ result: "result.json", candidate: "upto:2", family: "boundary", selected: false, verdict: "worse" },
        ...{ retention, objective: "nll", margin: 0.02, confidence: 0.95, samples: 80, inSample: false },
      },
    });
    expect(await inspected()).toMatchObject({
      "lora_boundary.source_sha256": SHA256,
      "lora_boundary.candidate": "upto:2",
      "lora_boundary.verdict": "worse",
      "lora_boundary.judged.objective": "nll",
      "lora_boundary.judged.margin": 0.02,
      "lora_boundary.judged.confidence": 0.95,
      "lora_boundary.judged.samples": 80,
      "lora_boundary.judged.data_sha256": "5a".repeat(32),
    });
    expect((await run(["inspect", "small.gguf"], { cwd: folder })).stdout).toMatch(/^ +verdict +worse$/m);
  });

  it("the selected one where none is named, the same bytes as by its name", async () => {
    const { code, stdout } = await trim("--from", "result.json");
    expect(code).toBe(0);
    expect(stdout).toContain(`Candidate: ${chosen} of result.json, the selected one: not-worse`);
    const bytes = await readFile(join(folder, "small.gguf"));
    expect((await from(chosen, "--force")).code).toBe(0);
    expect((await readFile(join(folder, "small.gguf"))).equals(bytes)).toBe(true);
  });

  it.each([
    ["a boosted boundary", "upto:5*1.25", {}, "upto:2*1.25"],
    ["a subset with boost", "without:0,2*1.2", {}, "without:0,2*1.2"],
    ["a window", "window:1-3", { layerScales: [0, 1, 1, 1, 0, 0] }, "window:1-3"],
    ["fractions", "mine", { layerScales: [1, 1, 0.5, 0.25, 0, 0] }, "0-1=1,2=0.5,3=0.25,4-5=0"],
    [
      "units within layers",
      "units",
      { layerScales: [1, 1, 1, 0, 0, 0], feedForwardScales: [0, 1, 1, 1, 0, 0] },
      "without:4-5,attention:3,ffn:0",
    ],
  ])("%s, with the very strengths that were judged", async (_, id, strengths, text) => {
    const own = "layerScales" in strengths ? [{ id, ...strengths }] : [];
    const boosted = { ...resultWith(own) };
    await save({
      ...boosted,
      candidates: boosted.candidates.map((it) =>
        it.id === "upto:5*1.25" ? { ...it, layerScales: [1.25, 1.25, 0, 0, 0, 0] } : it,
      ),
    });
    const { code, stdout, stderr } = await from(id, "--json", "-");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ scalesText: text, from: { candidate: id } });
  });

  it("of samples that the adapter was trained on: said too", async () => {
    await save({ ...resultWith(), inSample: true });
    expect((await from("upto:4")).stdout).toContain("that the adapter was");
    expect(await inspected()).toMatchObject({ "lora_boundary.judged.in_sample": true });
  });

  it("what --keep writes has no verdict", async () => {
    expect((await trim("--keep", "0-3")).code).toBe(0);
    expect(Object.keys(await inspected()).filter((key) => /verdict|judged/.test(key))).toEqual([]);
  });
});

describe("what it refuses, and writes nothing", () => {
  it.each([
    ["an unknown name", ["--from", "result.json", "--candidate", "upto:44"], 2, "Did you mean upto:4 or "],
    [
      "and how to list them",
      ["--from", "result.json", "--candidate", "?"],
      2,
      "`lora-boundary report result.json` lists",
    ],
    ["--keep beside it", ["--from", "result.json", "--keep", "0"], 2, "either `--keep` or `--from`"],
    [
      "--presets beside it",
      ["--from", "result.json", "--presets", "p.json"],
      2,
      "`--from result.json` and `--presets`",
    ],
    ["a name without its result", ["--candidate", "upto:4", "--keep", "0"], 2, "Expected `--from` with"],
    ["a name alone", ["--candidate", "upto:4"], 2, "Expected `--from` with"],
    ["no file", ["--from", "no.json"], 3, "no.json: the result file cannot be read (ENOENT)"],
    ["the base model", ["--from", "result.json", "--candidate", "upto:0"], 2, "that is the base model"],
  ])("%s", async (_, args, exitCode, message) => {
    const { code, stdout, stderr } = await trim(...args);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
    expect((await readdir(folder)).sort()).toEqual(["adapter.gguf", "result.json"]);
  });

  it("no choice where nothing was selected, but by name it is written", async () => {
    await save({ ...resultWith(), selected: null });
    const { code, stderr } = await trim("--from", "result.json");
    expect(code).toBe(2);
    expect(stderr).toContain("nothing was selected");
    expect(stderr).toContain("Name one with --candidate");
    expect((await from("upto:4")).code).toBe(0);
  });

  it("another adapter than the one that was judged, by one byte", async () => {
    const other = Buffer.from(SOURCE);
    other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    await writeFile(join(folder, "adapter.gguf"), other);
    const { code, stderr } = await from("upto:4");
    expect(code).toBe(3);
    expect(stderr).toContain(
      `adapter.gguf: expected the adapter of result.json, runs/adapter.gguf (${SHA256.slice(0, 12)})`,
    );
  });

  it("a result that was cut, changed by hand, or of another kind", async () => {
    const whole = JSON.stringify(resultWith());
    await writeFile(join(folder, "result.json"), whole.slice(0, 2000));
    expect(await trim("--from", "result.json")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("too early") as string,
    });
    const { selected, ...rest } = resultWith();
    const candidate = { ...selected!.candidate, layerScales: [1, 1, 1, 1, 1, 0.5] };
    await save({ ...rest, selected: { ...selected!, candidate } });
    expect(await trim("--from", "result.json")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("for `selected.candidate.layerScales` but received others") as string,
    });
    await writeFile(join(folder, "result.json"), '{"schema": "lora-boundary/trim@1"}');
    expect(await trim("--from", "result.json")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("expected `schema` to be lora-boundary/calibration@1") as string,
    });
  });
});
