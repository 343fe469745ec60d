import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, parseLayerScales, readSamples, writeAdapter } from "../../src/index.js";
import { useFolder } from "../support/data-files.js";
import { DEMO } from "../support/cli-process.js";
import { hasGgufPython, runExample, runPythonExample } from "../support/example.js";

const folder = useFolder();
const CUT = parseLayerScales("0-8=1.5,9-11=0", { layers: 12 });
const TOKENS = 24;
let small = "";
let prompt = "";

beforeAll(async () => {
  small = join(folder.path, "small.gguf");
  await writeAdapter(DEMO.adapter, CUT, small);
  const [first = ""] = (await readFile(DEMO.samples, "utf8")).split("\n");
  ({ prompt } = JSON.parse(first) as { prompt: string });
});

/** What this package lets base model and cut write. */
async function ownTexts(): Promise<string[]> {
  await using model = await loadModel(DEMO.base);
  await using adapter = await model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  const base = parseLayerScales("base", { layers: 12 });
  const answers = await adapter.generate([prompt], { candidates: [base, CUT], maxTokens: TOKENS, threads: 1 });
  return answers.map(([answer]) => answer!.text);
}

describe("examples", () => {
  test("node-llama-cpp writes with the small adapter what this package writes, and something else without it", async () => {
    const [base, cut] = await ownTexts();
    const args = (adapter: string) => [DEMO.base, adapter, prompt, String(TOKENS)];
    expect((await runExample("node-llama-cpp.mjs", args(small))).trim()).toBe(cut!.trim());
    expect((await runExample("node-llama-cpp.mjs", args(""))).trim()).toBe(base!.trim());
    expect(cut).not.toBe(base);
  });

  test("the API finds a cut and writes it, from an ES module and from CommonJS alike", async () => {
    const samples = join(folder.path, "few.jsonl");
    const rows = (await readFile(DEMO.samples, "utf8")).split("\n").slice(0, 10).join("\n");
    await folder.write("few.jsonl", `${rows}\n`);
    const outputs: string[] = [];
    const files: Buffer[] = [];
    for (const name of ["calibrate.mjs", "calibrate.cjs"]) {
      const target = join(folder.path, `${name}.gguf`);
      outputs.push(await runExample(name, [DEMO.base, DEMO.adapter, samples, target]));
      files.push(await readFile(target));
    }
    expect(outputs[0]).toMatch(/^upto:\d+, not-worse, \d+ bytes\n$/);
    expect(outputs[1]).toBe(outputs[0]);
    expect(files[0]!.equals(files[1]!)).toBe(true);
    await using model = await loadModel(DEMO.base);
    expect((await readSamples(samples, model)).samples).toHaveLength(10);
  });
});

const python = hasGgufPython();
describe.skipIf(!python)(
  python ? "gguf-py" : "gguf-py (SKIPPED: no Python with gguf; set LORA_BOUNDARY_PYTHON)",
  () => {
    test("reads layers, ranks, alpha and how the file was made", async () => {
      const facts = JSON.parse(await runPythonExample("read_adapter.py", [small])) as Record<string, unknown>;
      expect(facts).toMatchObject({ layers: [0, 1, 2, 3, 4, 5, 6, 7, 8], ranks: [8] });
      expect(facts["made"]).toMatchObject({
        "lora_boundary.kept_layers": [0, 1, 2, 3, 4, 5, 6, 7, 8],
        "lora_boundary.layer_scales": "upto:9*1.5",
        "lora_boundary.alpha_scale": 1.5,
      });
    });
  },
);
