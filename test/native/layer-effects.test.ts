import { expect, test } from "vitest";
import { effectCandidates, layerEffects } from "../../src/analysis/layer-effects.js";
import { differing, scoredBothWays } from "../support/engine-samples.js";
import { DEMO } from "../support/engine-files.js";
import { loadTrio } from "../support/engine-trio.js";

const SESSION = { threads: 1, batchTokens: 256 };

test("knock-outs and single layers through the trie are plain runs, bit for bit", async () => {
  await using it = await loadTrio(3);
  await using session = it.adapter.openSession(it.set.samples, SESSION);
  const candidates = effectCandidates(12, it.adapter.units);
  expect(candidates).toHaveLength(2 + 2 * 12);
  const { resumed, plain } = await scoredBothWays(session, candidates);
  expect(differing(candidates, resumed, plain)).toEqual([]);
  expect(session.facts.replay).toBe("exact");
});

test("halves of layers too, and they are what the layer's other half leaves", async () => {
  await using it = await loadTrio(3);
  await using adapter = await it.model.loadAdapter(DEMO.adapter, { per: "module" });
  await using session = adapter.openSession(it.set.samples, SESSION);
  const { units } = adapter;
  expect(units.filter(({ part }) => part === "ffn")).toHaveLength(12);
  const some = units.filter(({ layer }) => layer % 5 === 1);
  const candidates = effectCandidates(12, some);
  expect(candidates).toHaveLength(2 + 2 * 6);
  const { resumed, plain } = await scoredBothWays(session, candidates);
  expect(differing(candidates, resumed, plain)).toEqual([]);
  expect(session.facts.replay).toBe("exact");
  // Two halves off together are the layer off: the same strengths, so the same bits.
  const both = effectCandidates(12, [{ layer: 4, part: null }])[2]!;
  const byHand = { ...both, id: "by hand", feedForwardScales: both.layerScales };
  const [whole, halves] = await session.score([both, byHand]);
  expect(halves).toEqual(whole);

  const effects = await layerEffects(adapter, it.set.samples, SESSION);
  expect(effects.layers.map(({ layer }) => layer)).toEqual(adapter.file.layers);
  expect(effects.modules!.map(({ layer, part }) => ({ layer, part }))).toEqual(units);
  const mean = (id: string) => {
    const column = resumed[candidates.findIndex((candidate) => candidate.id === id)]!;
    return column.reduce((sum, score) => sum + score, 0) / column.length;
  };
  for (const { layer, part, leftOut, alone } of effects.modules!.filter(({ layer }) => layer % 5 === 1)) {
    expect(leftOut.mean).toBeCloseTo(mean(`without:${part}:${layer}`) - mean("full"), 4);
    expect(alone.mean).toBeCloseTo(mean("base") - mean(`only:${part}:${layer}`), 4);
  }
});

test("effects are the paired differences, with bounds that widen with the confidence", async () => {
  await using it = await loadTrio(12);
  const candidates = effectCandidates(12, it.adapter.units);
  const scores = await it.adapter.score(it.set.samples, candidates, SESSION);
  const mean = (id: string) => {
    const column = scores[candidates.findIndex((candidate) => candidate.id === id)]!;
    return column.reduce((sum, score) => sum + score, 0) / column.length;
  };
  const effects = await layerEffects(it.adapter, it.set.samples, SESSION);
  expect(effects.gain.mean).toBeCloseTo(mean("base") - mean("full"), 10);
  expect(effects.layers.map(({ layer }) => layer)).toEqual(it.adapter.file.layers);
  for (const { layer, leftOut, alone } of effects.layers) {
    expect(leftOut.mean).toBeCloseTo(mean(`without:${layer}`) - mean("full"), 10);
    expect(alone.mean).toBeCloseTo(mean("base") - mean(`only:${layer}`), 10);
    expect(leftOut.low).toBeLessThan(leftOut.mean);
  }
  const surer = await layerEffects(it.adapter, it.set.samples, { ...SESSION, confidence: 0.99 });
  expect(surer.criticalValue).toBeGreaterThan(effects.criticalValue);
  // Layer 0 of the demo adapter holds most of what it has learnt.
  expect(effects.layers[0]!.leftOut.low).toBeGreaterThan(0);
});
