import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { temporaryFolder } from "../support/engine-files.js";
import { randomSamples } from "../support/engine-samples.js";
import { tinyModel, writeTiny } from "../support/tiny-model.js";
import { kneeOf, lens } from "../../src/analysis/lens.js";
import { effectCandidates } from "../../src/analysis/layer-effects.js";
import { loadTrio } from "../support/engine-trio.js";

const SESSION = { threads: 1, batchTokens: 256 };
const [FULL, BASE] = effectCandidates(12, []) as [never, never];

describe("the lens", () => {
  test("at the last layer is the scorer's own answer, bit for bit, with the adapter and without", async () => {
    await using it = await loadTrio(7);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    expect(session.batches.length).toBeGreaterThan(1);
    const [full, base] = await session.score([FULL, BASE]);
    for (const [candidate, scores] of [
      [FULL, full!],
      [BASE, base!],
    ] as const) {
      const read = (await session.lens(candidate))!;
      expect(read.layers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect(Array.from(read.nll.at(-1)!)).toEqual(Array.from(scores));
    }
    // And scoring after it is what it was before.
    expect(await session.score([FULL, BASE])).toEqual([full, base]);
  });

  test("below it reads another layer's state: every layer differs, probabilities and ranks agree with the NLL", async () => {
    await using it = await loadTrio(5);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const { nll, probability, logRank } = (await session.lens(FULL))!;
    const firsts = nll.map((column) => column[0]!);
    expect(new Set(firsts).size).toBe(12);
    for (const [layer, column] of nll.entries()) {
      for (const [sample, value] of column.entries()) {
        // By Jensen's inequality the mean probability is at least exp of the mean log-probability.
        expect(probability[layer]![sample]!).toBeGreaterThanOrEqual(Math.exp(-value) - 1e-12);
        expect(probability[layer]![sample]!).toBeLessThanOrEqual(1);
        // A token of rank r has at most 1 / r of the probability.
        expect(logRank[layer]![sample]!).toBeLessThanOrEqual(value + 1e-9);
        expect(logRank[layer]![sample]!).toBeGreaterThanOrEqual(0);
      }
    }
    expect(nll[0]![0]!).toBeGreaterThan(nll.at(-1)![0]!);
  });

  test("a layer that writes nothing reads like the one below it", async () => {
    // The states of two runs that differ above layer 5 only are equal up to there.
    await using it = await loadTrio(3);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const upTo = { id: "upto:6", layerScales: [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], inputScale: 1, outputScale: 0 };
    const [full, cut] = [(await session.lens(FULL))!, (await session.lens(upTo))!];
    for (let layer = 0; layer < 6; layer++) expect(cut.nll[layer]).toEqual(full.nll[layer]);
    for (let layer = 6; layer < 12; layer++) expect(cut.nll[layer]).not.toEqual(full.nll[layer]);
  });

  test("is summed up per layer with standard errors, and its knee is a rule", async () => {
    await using it = await loadTrio(6);
    const read = (await lens(it.adapter, it.set.samples, SESSION))!;
    expect(read.base.map(({ layer }) => layer)).toEqual(read.full.map(({ layer }) => layer));
    for (const { nll, probability, rank } of [...read.base, ...read.full]) {
      expect(nll.se).toBeGreaterThan(0);
      expect(probability.se).toBeGreaterThan(0);
      expect(rank.mean).toBeGreaterThanOrEqual(1);
    }
    expect(read.knee).toBe(kneeOf(read.full));
  });
});

test("a model that is computed by hand: every layer is what the model without the layers above it would say", async () => {
  await using folder = await temporaryFolder();
  const shape = { width: 64, inner: 32, layers: 3, vocabulary: 131, rank: 4, alpha: 6, spread: 2, seed: 1 };
  const tiny = tinyModel(shape);
  const { base, lora } = await writeTiny(folder.path, tiny);
  await using model = await loadModel(base);
  await using adapter = await model.loadAdapter(lora);
  const samples = randomSamples([9, 4, 17, 2, 30], shape.vocabulary, 3);
  await using session = adapter.openSession(samples, { threads: 1, batchTokens: 64 });
  const [full] = effectCandidates(3, []);
  const { layers, nll, probability } = (await session.lens(full!))!;
  expect(layers).toEqual([0, 1, 2]);
  for (const layer of layers) {
    // All that its layers do is LoRA, so layers at 0 are not there.
    const strengths = layers.map((it) => (it <= layer ? 1 : 0));
    for (const [sample, { tokens, scored }] of samples.entries()) {
      const losses = [...tokens.keys()].flatMap((position) =>
        scored[position] === 1 ? [tiny.loss(tokens[position - 1]!, tokens[position]!, strengths, 1)] : [],
      );
      const mean = (values: readonly number[]) => values.reduce((sum, it) => sum + it, 0) / values.length;
      expect(nll[layer]![sample]!).toBeCloseTo(mean(losses), 5);
      expect(probability[layer]![sample]!).toBeCloseTo(mean(losses.map((loss) => Math.exp(-loss))), 6);
    }
  }
});

test("the knee: where nine tenths of the fall are made for good", () => {
  const curve = (...values: number[]) => values.map((mean, layer) => ({ layer, nll: { mean, se: 0 } }));
  expect(kneeOf(curve(10, 8, 5, 0.9, 0.5, 0))).toBe(3);
  expect(kneeOf(curve(10, 0.5, 5, 0.5, 0))).toBe(3);
  expect(kneeOf(curve(10, 0))).toBe(1);
  expect(kneeOf(curve(1, 2, 3))).toBeNull();
  expect(kneeOf([])).toBeNull();
});
