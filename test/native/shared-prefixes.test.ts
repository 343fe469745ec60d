import { expect, test } from "vitest";
import type { Sample } from "../../src/data/sample.js";
import { loadModel } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries, differing, randomSamples, scoredBothWays } from "../support/engine-samples.js";

/** Random samples that begin with the same tokens. */
export function withPrefix(samples: readonly Sample[], shared: number): Sample[] {
  const first = samples[0]!.tokens;
  return samples.map((sample) => ({
    ...sample,
    tokens: Int32Array.from(sample.tokens, (token, place) => (place < shared ? first[place]! : token)),
  }));
}

test("a shared prompt is computed once: resumed runs have the bits of plain ones, and scores those of flat runs but for rounding", async () => {
  await using model = await loadModel(DEMO.base);
  const adapter = await model.loadAdapter(DEMO.adapter);
  const samples = withPrefix(randomSamples([90, 75, 96, 81, 60, 66], model.facts.vocabulary, 5), 20);
  const candidates = allBoundaries(12);
  await using shared = adapter.openSession(samples, { threads: 1 });
  await using flat = adapter.openSession(samples, { threads: 1, sharePrefixes: false });
  const { resumed, plain } = await scoredBothWays(shared, candidates);
  expect(differing(candidates, resumed, plain)).toEqual([]);
  expect(shared.facts.replay).toBe("exact");
  expect([shared.sharesPrefixes, flat.sharesPrefixes, flat.computedShare]).toEqual([true, false, 1]);
  // Sharable are at most the first third less one of each sample: 19 of the shortest, 20 of the others.
  const saved = 5 * 19 + 4;
  expect(shared.computedShare).toBeCloseTo(1 - saved / shared.tokens, 12);
  const apart = await flat.score(candidates);
  for (const [index, scores] of resumed.entries()) {
    for (const [sample, score] of scores.entries()) {
      expect(Math.abs(score - apart[index]![sample]!)).toBeLessThan(2e-3);
    }
  }
  const full = candidates.at(-1)!;
  expect(await shared.compareWithFile(full, DEMO.adapter)).toBe(0);
});
