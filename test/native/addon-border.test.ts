import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { partOfTensor } from "../../src/engine/adapter.js";
import { loadAddon } from "../../src/native/binding.js";
import { NATIVE_EXPORTS } from "../../src/native/types.js";
import { DEMO } from "../support/engine-files.js";
import { addonFiles, loadAgain, nativeDemo, SCORER_DEFAULTS } from "../support/native-jobs.js";

/** What a worker thread does: load the addon for itself, score the demo's base model on a few tokens. */
const WORKER = `
const { parentPort, workerData } = require("node:worker_threads");
const addon = require(workerData.addon);
addon.loadBackends(workerData.libraries);
(async () => {
  const control = new addon.JobControl();
  const model = await addon.loadModel({ path: workerData.base, gpuLayers: 0, devices: [], control });
  const size = workerData.samples * workerData.tokens;
  const scorer = await addon.createScorer({ model, maxTokens: size, maxSequences: workerData.samples, maxRows: size, rowsOfSequence: workerData.tokens, ...workerData.defaults });
  scorer.setBatch({
    tokens: Int32Array.from({ length: size }, (_, index) => (index * 7) % 1000),
    offsets: Int32Array.from({ length: workerData.samples + 1 }, (_, index) => index * workerData.tokens),
    scored: Uint8Array.from({ length: size }, (_, index) => (index % workerData.tokens === 0 ? 0 : 1)),
    shared: false,
  });
  const run = { adapter: null, strengths: new Float32Array(), resumeAt: 0, keepAt: new Int32Array(), logits: "none", control };
  parentPort.postMessage("running");
  const { sums } = await scorer.run(run);
  parentPort.postMessage({ names: Object.keys(addon).sort(), sums: [...sums] });
})();
`;

function startWorker(samples: number, tokens: number): Worker {
  return new Worker(WORKER, {
    eval: true,
    workerData: { ...addonFiles(), base: DEMO.base, samples, tokens, defaults: SCORER_DEFAULTS },
  });
}

describe("loading", () => {
  test("the addon exports the names of its type, no more and no less", async () => {
    expect(Object.keys(await loadAddon()).sort()).toEqual([...NATIVE_EXPORTS].sort());
  });

  test("versions and devices: llama.cpp 0.5.0 and a CPU with memory", async () => {
    const addon = await loadAddon();
    expect(addon.versions().llamaCpp).toMatch(/^0\.5\.0\b/);
    const cpus = addon.devices().filter(({ type }) => type === "cpu");
    expect(cpus).toHaveLength(1);
    expect(cpus[0]!.memoryTotal).toBeGreaterThan(2 ** 28);
    expect(cpus[0]!.memoryFree).toBeLessThanOrEqual(cpus[0]!.memoryTotal);
  });

  test("where the processor has AVX2, Q4_1 products are computed here, with the bits of llama.cpp's own", async () => {
    const { quantProducts, systemInfo } = (await loadAddon()).versions();
    // The answer is that of a trial, which compares all bits.
    expect(quantProducts).toBe(process.platform === "linux" && /AVX2 = 1/.test(systemInfo));
  });

  test("where the processor has AVX-512 VNNI, Q4_1 and Q8_0 products for answers are computed in our own order", async () => {
    const { columnProducts, systemInfo } = (await loadAddon()).versions();
    // The answer is that of a trial, which compares all numbers with llama.cpp's own.
    expect(columnProducts).toBe(process.platform === "linux" && /AVX512_VNNI = 1/.test(systemInfo));
  });

  test("twice in one process: both instances compute the same, and neither takes the other's objects", async () => {
    const { addon, model, scorer, run } = await nativeDemo();
    const second = loadAgain();
    expect(second.JobControl).not.toBe(addon.JobControl);
    const control = new second.JobControl();
    const other = await second.loadModel({ path: DEMO.base, gpuLayers: 0, devices: [], control });
    expect(other.facts()).toEqual(model.facts());
    expect(() => second.loadWholeAdapter({ model, path: DEMO.adapter })).toThrow(
      new TypeError("Expected an object made by this addon for `model`"),
    );
    expect(() => scorer.run({ ...run, control })).toThrow(TypeError);
    expect(second.devices().map(({ name }) => name)).toEqual(addon.devices().map(({ name }) => name));
    other.dispose();
    expect((await scorer.run(run)).sums).toHaveLength(2);
  });

  test("in a worker thread too, with the same bits as here", async () => {
    const { scorer, run } = await nativeDemo(3, 20);
    const { sums } = await scorer.run(run);
    const worker = startWorker(3, 20);
    const answer = await new Promise((resolve, reject) => {
      worker.on("message", (message) => {
        if (message !== "running") resolve(message);
      });
      worker.on("error", reject);
    });
    expect(answer).toEqual({ names: [...NATIVE_EXPORTS].sort(), sums: [...sums] });
    await worker.terminate();
  });

  test("a worker thread that is stopped in the middle of a run takes nothing with it", async () => {
    const worker = startWorker(8, 200);
    await new Promise((resolve) => worker.once("message", resolve));
    expect(await worker.terminate()).toBe(1);
    const { scorer, run } = await nativeDemo(1, 10);
    expect((await scorer.run(run)).sums[0]).toBeGreaterThan(0);
  });
});

describe("one job at a time", () => {
  test("a busy scorer refuses a second run, another batch, and to go", async () => {
    const { scorer, run } = await nativeDemo(4, 100);
    const first = scorer.run(run);
    const busy: unknown = expect.objectContaining({ code: "BUSY", message: "The scorer is busy" });
    expect(() => scorer.run(run)).toThrow(busy);
    expect(() => scorer.borders(run)).toThrow(busy);
    expect(() => {
      scorer.dispose();
    }).toThrow(busy);
    expect(() => {
      scorer.setBatch({
        tokens: Int32Array.of(1, 2),
        offsets: Int32Array.of(0, 2),
        scored: Uint8Array.of(0, 1),
        shared: false,
      });
    }).toThrow(busy);
    const { sums } = await first;
    expect((await scorer.run(run)).sums).toEqual(sums);
  });

  test("disposing twice is as once; afterwards every call says so", async () => {
    const { addon, model, scorer, run } = await nativeDemo();
    const gone: unknown = expect.objectContaining({ code: "DISPOSED" });
    scorer.dispose();
    scorer.dispose();
    expect(() => scorer.run(run)).toThrow(gone);
    model.dispose();
    model.dispose();
    expect(() => model.facts()).toThrow(gone);
    expect(() => model.tokenize("a", false, false)).toThrow(gone);
    expect(() => addon.loadWholeAdapter({ model, path: DEMO.adapter })).toThrow(gone);
  });

  test("a scorer keeps its model, and a run its adapter, when JavaScript lets go of them", async () => {
    const { addon, model, scorer, run } = await nativeDemo(4, 60);
    const adapter = await addon.loadWholeAdapter({ model, path: DEMO.adapter });
    const adapted = { ...run, adapter, strengths: Float32Array.of(1) };
    const { sums } = await scorer.run(adapted);
    model.dispose();
    const running = scorer.run(adapted);
    adapter.dispose();
    expect((await running).sums).toEqual(sums);
    expect(() => scorer.run(adapted)).toThrow(expect.objectContaining({ code: "DISPOSED" }));
    expect((await scorer.run(run)).sums[0]).not.toBe(sums[0]);
  });
});

describe("all scales 0 is the base model, bit for bit", () => {
  test("no adapter, the layered adapter at strengths 0, and the whole adapter at 0", async () => {
    const { addon, model, scorer, run } = await nativeDemo(3, 50);
    const file = await readAdapter(DEMO.adapter);
    const { layers } = model.facts();
    const adapter = await addon.loadAdapter({
      model,
      path: DEMO.adapter,
      partOfTensor: partOfTensor(file, layers),
      partsPerLayer: 1,
      rankMultiple: 1,
      fusedLora: false,
      control: run.control,
    });
    const whole = await addon.loadWholeAdapter({ model, path: DEMO.adapter });
    const base = await scorer.run({ ...run, logits: "keep" });
    const strengths = new Float32Array(layers + 2);
    const zeros = await scorer.run({ ...run, adapter, strengths, logits: "compare" });
    expect(zeros).toMatchObject({ sums: base.sums, maxDifference: 0 });
    await scorer.run({ ...run, logits: "keep" });
    const wholeZero = await scorer.run({ ...run, adapter: whole, strengths: Float32Array.of(0), logits: "compare" });
    expect(wholeZero).toMatchObject({ sums: base.sums, maxDifference: 0 });
    await scorer.run({ ...run, logits: "keep" });
    const full = await scorer.run({ ...run, adapter, strengths: strengths.fill(1), logits: "compare" });
    expect(full.maxDifference).toBeGreaterThan(1);
  });
});
