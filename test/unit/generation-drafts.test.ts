import { describe, expect, test } from "vitest";
import { DraftPool, type PooledAnswer } from "../../src/generation/draft-pool.js";

const tokens = (...ids: number[]) => Int32Array.from(ids);
const certain = (answer: Int32Array) => ({ tokens: answer, leads: new Float32Array(answer.length).fill(9) });
const LIKELY = 0.7;
const propose = (pool: DraftPool, written: number[], most: number, others: readonly PooledAnswer[] = []) => [
  ...pool.propose(written, { most, leastChance: LIKELY }, others),
];
const poolOf = (prompt: Int32Array, ...answers: Int32Array[]) => {
  const pool = new DraftPool(prompt);
  for (const answer of answers) pool.add(certain(answer));
  return pool;
};

describe("drafts from a pool", () => {
  test("before the first token: the newest answer from its start", () => {
    const pool = poolOf(tokens(1, 2, 3), tokens(10, 11), tokens(20, 21, 22));
    expect(propose(pool, [], 2)).toEqual([20, 21]);
    expect(propose(pool, [], 0)).toEqual([]);
  });

  test("the longest match wins over the newest, and runs across the border to the prompt", () => {
    const pool = poolOf(tokens(1, 2), tokens(5, 3, 6, 7), tokens(9, 3, 6, 8));
    // 1 2 5 3 6 is only in the first; 3 6 alone in both.
    expect(propose(pool, [5, 3, 6], 4)).toEqual([7]);
    expect(propose(pool, [0, 3, 6], 4)).toEqual([8]);
  });

  test("answers that meet again behind a difference go on together", () => {
    const pool = poolOf(tokens(1), tokens(4, 5, 30, 6, 7, 8, 9));
    expect(propose(pool, [4, 5, 31, 6, 7], 2)).toEqual([8, 9]);
    expect(propose(pool, [4, 5, 31], 2)).toEqual([]);
  });

  test("nothing written before, nothing proposed: what stands in the prompt is no draft", () => {
    expect(propose(new DraftPool(tokens(40, 41, 42, 43)), [40, 41], 3)).toEqual([]);
  });

  test("tokens follow while all of them are likely: by their leads, and by what is in common before them", () => {
    const pool = new DraftPool(tokens(1, 2));
    pool.add({ tokens: tokens(10, 11, 12, 13, 14), leads: Float32Array.of(0.3, 9, 0.1, 5, 0.6) });
    // From the beginning: 0.91 x 1, then 0.68 on top is too little.
    expect(propose(pool, [], 9)).toEqual([10, 11]);
    expect(propose(pool, [10, 11], 9)).toEqual([]);
    expect(propose(pool, [10, 11, 12], 9)).toEqual([13, 14]);
    // Two tokens in common: 0.77, and with three 0.68 on top is too little. One alone tells little.
    expect(propose(pool, [7, 11, 12], 9)).toEqual([13]);
    expect(propose(pool, [7, 12], 9)).toEqual([]);
  });

  test("a smaller chance is enough where less can be lost", () => {
    const pool = new DraftPool(tokens(1, 2));
    pool.add({ tokens: tokens(10, 11, 12, 13, 14), leads: Float32Array.of(0.3, 9, 0.1, 5, 0.6) });
    expect([...pool.propose([], { most: 9, leastChance: 0.6 }, [])]).toEqual([10, 11, 12, 13]);
  });

  test("answers to other prompts help where this one's have no more in common", () => {
    const pool = poolOf(tokens(1), tokens(3, 4, 5, 6));
    const others = [certain(tokens(30, 31, 32, 33, 34)), certain(tokens(8, 4, 5, 7))];
    expect(propose(pool, [20, 30, 31, 32], 9, others)).toEqual([33, 34]);
    // 4 5 is in common with both; from another prompt that counts less.
    expect(propose(pool, [9, 4, 5], 9, others)).toEqual([6]);
    // The beginning of another prompt's answer is all that both have in common, not the same text so far.
    expect(propose(poolOf(tokens(1)), [], 9, others)).toEqual([]);
  });

  test("drafts are expected to be wrong where the newest answer was uncertain", () => {
    const pool = new DraftPool(tokens(1));
    expect(pool.expectedMisses).toBe(0);
    pool.add({ tokens: tokens(4, 5, 6), leads: Float32Array.of(0.4, 3, 0.1) });
    expect(pool.expectedMisses).toBe(2);
  });
});
