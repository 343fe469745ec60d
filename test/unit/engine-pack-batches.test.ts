import { describe, expect, test } from "vitest";
import { MOST_SEQUENCES, packBatches } from "../../src/engine/pack-batches.js";
import { seeded } from "../support/engine-samples.js";

describe("packBatches", () => {
  test("longest first, each into the first batch with room", () => {
    // In order of length: 8 opens a batch, 7 opens one, 5 opens one, 3 fits beside 7, 2 fits beside 8.
    expect(packBatches([5, 3, 8, 2, 7], 10)).toEqual([[2, 3], [4, 1], [0]]);
  });

  test("a full batch takes no more, a sample as long as the budget has one of its own", () => {
    expect(packBatches([10, 4, 6, 1], 10)).toEqual([[0], [2, 1], [3]]);
  });

  test("equal lengths keep their order", () => {
    expect(packBatches([4, 4, 4, 4, 4], 8)).toEqual([[0, 1], [2, 3], [4]]);
  });

  test("llama.cpp takes at most 256 sequences at once", () => {
    const batches = packBatches(new Array<number>(600).fill(1), 10_000);
    expect(batches.map(({ length }) => length)).toEqual([256, 256, 88]);
    expect(MOST_SEQUENCES).toBe(256);
  });

  test("no samples, no batches", () => {
    expect(packBatches([], 10)).toEqual([]);
  });

  test("500 random sets: every sample once, within the budget, at most one batch half empty", () => {
    const random = seeded(1);
    for (let round = 0; round < 500; round++) {
      const lengths = Array.from({ length: 1 + Math.floor(random() * 80) }, () => 1 + Math.floor(random() * 60));
      const budget = Math.max(...lengths) + Math.floor(random() * 100);
      const batches = packBatches(lengths, budget);
      expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, index) => index));
      const used = batches.map((batch) => batch.reduce((sum, sample) => sum + lengths[sample]!, 0));
      expect(Math.max(...used)).toBeLessThanOrEqual(budget);
      expect(used.filter((tokens) => tokens * 2 <= budget).length).toBeLessThanOrEqual(1);
    }
  });
});
