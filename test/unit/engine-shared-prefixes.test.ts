import { describe, expect, test } from "vitest";
import type { Sample } from "../../src/data/sample.js";
import { PackedSamples } from "../../src/engine/packed-samples.js";
import { commonTokens, samplesToMeet, sharableTokens, treeTokens } from "../../src/engine/shared-prefixes.js";
import { seeded } from "../support/engine-samples.js";

/** A sample of these tokens whose last `scored` ones are scored. */
function sampleOf(tokens: readonly number[], scored: number): Sample {
  return {
    tokens: Int32Array.from(tokens),
    scored: Uint8Array.from(tokens, (_, index) => (index >= tokens.length - scored ? 1 : 0)),
    group: tokens.join(),
    line: 1,
  };
}

/** As written in the definition: one node per distinct beginning that may be shared, and every sample's own rest. */
function countedByHand(samples: readonly Sample[]): number {
  const nodes = new Set<string>();
  let own = 0;
  for (const sample of samples) {
    const may = sharableTokens(sample);
    for (let length = 1; length <= may; length++) nodes.add(sample.tokens.slice(0, length).join());
    own += sample.tokens.length - 1 - may;
  }
  return nodes.size + own;
}

describe("what may be shared", () => {
  test("tokens before the one that predicts the first scored one", () => {
    expect(sharableTokens(sampleOf([1, 2, 3, 4, 5], 2))).toBe(2);
    expect(sharableTokens(sampleOf([1, 2], 1))).toBe(0);
    expect(sharableTokens(sampleOf([1, 2, 3], 2))).toBe(0);
  });

  test("8 samples with 100 of 130 prompt tokens alike compute 100 + 8 x 30 and their completions", () => {
    const samples = Array.from({ length: 8 }, (_, sample) =>
      sampleOf(
        Array.from({ length: 140 }, (__, place) => (place < 100 ? place : 1000 * (sample + 1) + place)),
        10,
      ),
    );
    expect(treeTokens(samples)).toBe(100 + 8 * 39);
    expect(commonTokens(samples)).toBe(100);
  });

  test("300 random sets: as many nodes as distinct beginnings", () => {
    const random = seeded(3);
    const draw = (below: number) => Math.floor(random() * below);
    for (let round = 0; round < 300; round++) {
      const samples = Array.from({ length: 1 + draw(9) }, () => {
        const length = 2 + draw(9);
        return sampleOf(
          Array.from({ length }, () => draw(2)),
          1 + draw(length - 1),
        );
      });
      expect(treeTokens(samples)).toBe(countedByHand(samples));
    }
  });
});

describe("samples that meet", () => {
  const cluster = (kind: number, count: number) =>
    Array.from({ length: count }, (_, index) =>
      sampleOf(
        Array.from({ length: 60 }, (__, place) => (place < 5 ? place : place < 40 ? 100 * kind : 7 * index + place)),
        10,
      ),
    );

  test("those with a long beginning of their own are in one batch, up to half of it", () => {
    const samples = [...cluster(1, 3), ...cluster(2, 3)];
    const groups = samplesToMeet(samples, 200).map((group) => [...group].sort());
    expect(groups.sort()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(samplesToMeet(samples, 100).every(({ length }) => length <= 3)).toBe(true);
  });

  test("what all have in common is no reason: batches stay a random choice", () => {
    expect(samplesToMeet(cluster(1, 6), 1000)).toHaveLength(6);
  });

  test("packing keeps every batch within the budget and every sample once, and computes less", () => {
    const samples = [1, 2, 3, 4].flatMap((kind) => cluster(kind, 10));
    const flat = new PackedSamples(samples, { batchTokens: 300 });
    const tree = new PackedSamples(samples, { batchTokens: 300, shares: true });
    expect(tree.batches.flat().sort((a, b) => a - b)).toEqual(samples.map((_, index) => index));
    expect(Math.max(...tree.batchLengths)).toBeLessThanOrEqual(300);
    expect(tree.batches.length).toBeLessThan(flat.batches.length);
    const all = (packed: PackedSamples) => packed.shareOf(packed.batches.map((_, index) => index));
    expect([all(flat), all(tree) < 0.6]).toEqual([1, true]);
  });
});
