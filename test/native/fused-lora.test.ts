import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { totalBytes } from "../../src/engine/memory-estimate.js";
import { decodeSmallFloat, encodeSmallFloat } from "../../src/gguf/float-bits.js";
import { ARCHITECTURES, DEMO, hasArchitectures, unlessAbsent } from "../support/engine-files.js";
import { allBoundaries, otherShapes, randomSamples } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";
import { contentsOf, withTensors } from "../support/gguf-edit.js";
import { gguf, u16, type TypeName } from "../support/gguf-files.js";
import { tinyModel, writeTiny } from "../support/tiny-model.js";

const SESSION = { threads: 1 };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fused-lora-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("what a pair adds is the same function as llama.cpp's own nodes, in other roundings", async () => {
  await using it = await loadTrio(3);
  const asFile = await it.model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  expect([it.adapter.fusedLora, asFile.fusedLora]).toEqual([true, false]);
  const candidates = [...allBoundaries(12).slice(1), ...otherShapes(12, 5)];
  const fused = await it.adapter.score(it.set.samples, candidates, SESSION);
  const exact = await asFile.score(it.set.samples, candidates, SESSION);
  for (const [index, scores] of fused.entries()) {
    for (const [sample, score] of scores.entries()) {
      expect(Math.abs(score - exact[index]![sample]!)).toBeLessThan(1e-3);
    }
  }
  // Equal bits everywhere would mean that llama.cpp's nodes had run.
  expect(fused).not.toEqual(exact);
});

test("what it keeps is in the estimate: B of every pair once more, as F32", async () => {
  const tiny = tinyModel({ width: 64, inner: 32, layers: 3, vocabulary: 131, rank: 4, alpha: 6, spread: 2, seed: 1 });
  const { base, lora } = await writeTiny(folder, tiny);
  await using model = await loadModel(base);
  const estimateOf = async (fusedLora: boolean) => {
    const adapter = await model.loadAdapter(lora, { fusedLora, rankMultiple: 1 });
    await using session = adapter.openSession(randomSamples([5], 131, 1), SESSION);
    return await session.estimateMemory(allBoundaries(3));
  };
  const [fused, plain] = [await estimateOf(true), await estimateOf(false)];
  // A pair of each layer's ffn_down, and that of the head.
  expect(fused.factors).toBe(4 * 4 * (3 * 64 + 131));
  expect(plain).toEqual({ ...fused, factors: 0 });
  expect(totalBytes(fused) - totalBytes(plain)).toBe(fused.factors);
});

test("its bits do not depend on the number of threads, even where they share no whole tile", async () => {
  await using it = await loadTrio(1);
  const samples = randomSamples([5, 8], it.model.facts.vocabulary, 1);
  const full = allBoundaries(12).slice(-1);
  const scores: unknown[] = [];
  for (const threads of [1, 2, 3]) scores.push(await it.adapter.score(samples, full, { threads, loss: "host" }));
  expect(scores[1]).toEqual(scores[0]);
  expect(scores[2]).toEqual(scores[0]);
});

test("B as F16 and BF16 gives the bits of the same numbers as F32", async () => {
  const contents = await contentsOf(DEMO.adapter);
  // Multiples of 1/128 up to 1 are the same number in all three.
  const stored = (type: TypeName) =>
    withTensors(contents, (tensor, name) => {
      if (!name.endsWith(".lora_b")) return tensor;
      expect(tensor.type).toBe("F16");
      const values = Array.from({ length: tensor.data.length / 2 }, (_, index) => {
        const value = decodeSmallFloat(tensor.data.readUInt16LE(2 * index), "F16");
        return Math.max(-1, Math.min(1, Math.round(value * 128) / 128));
      });
      const data =
        type === "F32"
          ? Buffer.from(Float32Array.from(values).buffer)
          : Buffer.concat(values.map((value) => u16(encodeSmallFloat(value, type as "F16" | "BF16"))));
      return { ...tensor, type, data };
    });
  await using it = await loadTrio(2);
  const full = allBoundaries(12).slice(-1);
  const scores: unknown[] = [];
  for (const type of ["F32", "F16", "BF16"] as const) {
    const path = join(folder, `${type}.gguf`);
    await writeFile(path, gguf(stored(type)));
    const adapter = await it.model.loadAdapter(path);
    scores.push(await adapter.score(it.set.samples, full, SESSION));
  }
  expect(scores[1]).toEqual(scores[0]);
  expect(scores[2]).toEqual(scores[0]);
  expect(scores[0]).not.toEqual(await it.adapter.score(it.set.samples, full, SESSION));
});

test.skipIf(!hasArchitectures)(
  unlessAbsent("beside pairs of experts, which llama.cpp adds itself", hasArchitectures, "models/architectures"),
  async () => {
    await using model = await loadModel(`${ARCHITECTURES}qwen3moe-moe.gguf`);
    const path = `${ARCHITECTURES}qwen3moe-moe.lora.gguf`;
    const samples = randomSamples([17, 23], model.facts.vocabulary, 3);
    const full = allBoundaries(model.layers).slice(-1);
    const fused = await (await model.loadAdapter(path)).score(samples, full, SESSION);
    const exact = await (await model.loadAdapter(path, { rankMultiple: 1 })).score(samples, full, SESSION);
    for (const sample of samples.keys()) expect(Math.abs(fused[0]![sample]! - exact[0]![sample]!)).toBeLessThan(1e-3);
    expect(fused).not.toEqual(exact);
  },
);
