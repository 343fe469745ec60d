import { describe, expect, test } from "vitest";
import { MOST_SEQUENCES, packItems } from "../../src/engine/pack-batches.js";
import { seeded } from "../support/engine-samples.js";

/** Items of one sequence each. */
const packBatches = (lengths: readonly number[], budget: number, seed?: number) =>
  packItems(
    lengths.map((length) => ({ length, sequences: 1 })),
    budget,
    seed,
  );

describe("packItems", () => {
  test("every sample once, each batch within the budget, few batches", () => {
    // 20 of 25 tokens each way: the fewest batches of 100 are five.
    const batches = packBatches(new Array<number>(20).fill(25), 100);
    expect(batches.map(({ length }) => length)).toEqual([4, 4, 4, 4, 4]);
    expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("each batch takes one of each stratum of lengths", () => {
    const lengths = Array.from({ length: 40 }, (_, index) => 10 + index);
    const batches = packBatches(lengths, 300);
    const count = batches.length;
    for (const batch of batches) {
      const strata = batch.map((sample) => Math.floor((lengths.length - 1 - sample) / count)).sort((a, b) => a - b);
      expect(new Set(strata).size).toBeGreaterThanOrEqual(batch.length - 1);
    }
  });

  test("the first batch of many seeds is a fair picture: every sample is in it equally often", () => {
    const lengths = Array.from({ length: 30 }, (_, index) => 20 + ((index * 7) % 60));
    const times = new Array<number>(30).fill(0);
    let shares = 0;
    for (let seed = 0; seed < 3000; seed++) {
      const [first = []] = packBatches(lengths, 400, seed);
      for (const sample of first) times[sample]! += 1;
      shares += first.length / 30;
    }
    // Binomial: sd about 0.008 of 3000 draws; five of them.
    for (const count of times) expect(Math.abs(count / 3000 - shares / 3000)).toBeLessThan(0.04);
  });

  test("the same seed packs alike, another one otherwise", () => {
    const lengths = Array.from({ length: 50 }, (_, index) => 10 + ((index * 13) % 40));
    expect(packBatches(lengths, 200, 4)).toEqual(packBatches(lengths, 200, 4));
    expect(packBatches(lengths, 200, 4)).not.toEqual(packBatches(lengths, 200, 5));
  });

  test("a sample as long as the budget has a batch of its own", () => {
    const batches = packBatches([10, 4, 6, 1], 10);
    expect(batches.find((batch) => batch.includes(0))).toEqual([0]);
    expect(batches).toHaveLength(3);
  });

  test("llama.cpp takes at most 256 sequences at once", () => {
    const batches = packBatches(new Array<number>(600).fill(1), 10_000);
    expect(batches.map(({ length }) => length)).toEqual([200, 200, 200]);
    expect(MOST_SEQUENCES).toBe(256);
  });

  test("no samples, no batches", () => {
    expect(packBatches([], 10)).toEqual([]);
  });

  test("500 random sets: every sample once, within the budget, on average more than half full", () => {
    const random = seeded(1);
    for (let round = 0; round < 500; round++) {
      const lengths = Array.from({ length: 1 + Math.floor(random() * 80) }, () => 1 + Math.floor(random() * 60));
      const budget = Math.max(...lengths) + Math.floor(random() * 100);
      const batches = packBatches(lengths, budget);
      expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, index) => index));
      const used = batches.map((batch) => batch.reduce((sum, sample) => sum + lengths[sample]!, 0));
      expect(Math.max(...used)).toBeLessThanOrEqual(budget);
      if (batches.length > 3) {
        expect(used.reduce((sum, tokens) => sum + tokens, 0) / (budget * used.length)).toBeGreaterThan(0.5);
      }
    }
  });
});
