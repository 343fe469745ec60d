import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DoctorFindings } from "../../src/report/doctor.js";
import { copiedProgram, DEMO, run } from "../support/cli-process.js";
import { jsonl, useFolder } from "../support/data-files.js";
import { adapter, gguf, model, tensor } from "../support/gguf-files.js";

const folder = useFolder();
/** Without the addon, so that the answers are the same on every machine. */
let main = "";
beforeAll(async () => {
  main = await copiedProgram(join(folder.path, "program"));
  await folder.write("base.gguf", gguf(model(3)));
  await folder.write("adapter.gguf", gguf(adapter([0, 2])));
  const rows = [{ prompt: "a", completion: "b", group: 1 }, { prompt: "c", completion: "d", group: 1 }, { text: "e" }];
  await folder.write("samples.jsonl", jsonl(...rows));
});

const doctor = (...args: string[]) => run(["doctor", ...args], { cwd: folder.path, main });
async function findings(...args: string[]): Promise<DoctorFindings & { readonly code: number | null }> {
  const { code, stdout, stderr } = await doctor(...args, "--json", "-");
  expect(stderr).toBe("");
  return { code, ...(JSON.parse(stdout) as DoctorFindings) };
}
const codes = ({ problems }: DoctorFindings) => problems.map(({ place, code }) => `${place} ${code}`);

describe("the machine", () => {
  it("without the addon: 5, and what to do about it", async () => {
    const { code, stdout, stderr } = await doctor();
    expect({ code, stderr }).toEqual({ code: 5, stderr: "" });
    expect(stdout).toContain("npm rebuild lora-boundary");
    expect(stdout).toMatch(/Node\.js +\d+\./);
    expect(stdout).toContain("Not ready.");
  });

  it("as data", async () => {
    const found = await findings();
    expect(found).toMatchObject({
      code: 5,
      schema: "lora-boundary/doctor@1",
      engine: null,
      model: null,
      samples: null,
    });
    expect(codes(found)).toEqual(["engine ADDON_MISSING"]);
    expect(found.machine.memoryTotal).toBeGreaterThan(0);
  });
});

describe("files that fit: 0, the addon's absence shown all the same", () => {
  it("in words", async () => {
    const { code, stdout } = await doctor("base.gguf", "adapter.gguf", "samples.jsonl");
    expect(code).toBe(0);
    expect(stdout).toContain("LoRA in 2 of 3 layers; none in 1");
    expect(stdout).toContain("3 good (2 completion, 1 text)");
    expect(stdout).toContain("npm rebuild lora-boundary");
    expect(stdout.replaceAll("\n", " ")).toContain(
      "The files fit together, and every sample can be read. Calibrating needs",
    );
  });

  it("as data, with the work of a boundary search", async () => {
    const found = await findings("base.gguf", "adapter.gguf", "samples.jsonl");
    expect(found).toMatchObject({
      ...{ code: 0, model: { kind: "model", layers: 3 }, adapter: { kind: "adapter", pairs: 4 } },
      // Full adapter: 3 layers; `upto:1` resumes above layer 1, which has no LoRA, and runs 1; base: 3.
      pair: { modelLayers: 3, adaptedLayers: [0, 2], candidates: 3, passes: 7 / 3, naivePasses: 3 },
      samples: { rows: 3, forms: { completion: 2, text: 1 }, groups: 2, smallestShare: null },
    });
    expect(codes(found)).toEqual(["engine ADDON_MISSING"]);
  });

  it("one file alone, of either kind", async () => {
    expect(await findings("base.gguf")).toMatchObject({ code: 0, model: { kind: "model" }, adapter: null });
    expect(await findings("adapter.gguf")).toMatchObject({ code: 0, model: null, adapter: { kind: "adapter" } });
  });

  it("the demo files", async () => {
    const found = await findings(DEMO.base, DEMO.adapter, DEMO.samples);
    expect(found).toMatchObject({ code: 0, samples: { rows: 120 } });
  });
});

describe("files that are bad or do not fit: 3, every problem at once", () => {
  it("swapped files and a missing one", async () => {
    const found = await findings("adapter.gguf", "base.gguf", "nope.jsonl");
    expect(found.code).toBe(3);
    expect(codes(found)).toEqual([
      "engine ADDON_MISSING",
      "file MODEL_IS_ADAPTER",
      "file ADAPTER_IS_MODEL",
      "samples SAMPLES_NOT_FOUND",
    ]);
    const { code, stdout } = await doctor("adapter.gguf", "base.gguf", "nope.jsonl");
    expect(code).toBe(3);
    expect(stdout.replaceAll(/\n +/g, " ")).toContain("give the base model first and the adapter second");
    expect(stdout).toContain("3 problems with the files.");
  });

  it("an adapter of a larger model of another architecture", async () => {
    await folder.write("gemma.gguf", gguf(model(2, "gemma")));
    const found = await findings("gemma.gguf", "adapter.gguf");
    expect(found).toMatchObject({ code: 3, pair: null });
    expect(codes(found)).toEqual(["engine ADDON_MISSING", "pair ARCHITECTURE_MISMATCH", "pair LAYER_BEYOND_MODEL"]);
  });

  it("an adapter whose training has diverged or not begun", async () => {
    const { metadata, tensors } = adapter([0]);
    const bad = tensors.map((it, index) =>
      index === 0 ? tensor(String(it.name), it.shape.map(Number), "F32", Buffer.alloc(it.data.length, 0xff)) : it,
    );
    await folder.write("diverged.gguf", gguf({ metadata, tensors: bad }));
    const zero = tensors.map((it) => ({ ...it, data: Buffer.alloc(it.data.length) }));
    await folder.write("untrained.gguf", gguf({ metadata, tensors: zero }));
    expect(codes(await findings("diverged.gguf"))).toContain("file ADAPTER_NOT_FINITE");
    expect(codes(await findings("base.gguf", "untrained.gguf"))).toContain("file ADAPTER_CHANGES_NOTHING");
  });

  it("samples with bad lines: the first one, the number of others, and the good ones", async () => {
    await folder.write("bad.jsonl", `${jsonl({ text: "a" })}not json\n{}\n`);
    const found = await findings("base.gguf", "adapter.gguf", "bad.jsonl");
    expect(found).toMatchObject({ code: 3, samples: { rows: 1 } });
    expect(found.problems.at(-1)?.message).toMatch(/^bad\.jsonl, line 2: .*1 more line is bad\.$/);
    await folder.write("none.jsonl", "\n");
    expect(codes(await findings("base.gguf", "adapter.gguf", "none.jsonl"))).toContain("samples SAMPLES_EMPTY");
    expect(codes(await findings("base.gguf", "adapter.gguf", "base.gguf"))).toContain("samples SAMPLES_WRONG_FILE");
  });
});
