import { describe, expect, test } from "vitest";
import { DraftPool } from "../../src/generation/draft-pool.js";

const tokens = (...ids: number[]) => Int32Array.from(ids);
const certain = (answer: Int32Array) => new Float32Array(answer.length).fill(9);
const poolOf = (prompt: Int32Array, ...answers: Int32Array[]) => {
  const pool = new DraftPool(prompt);
  for (const answer of answers) pool.add(answer, certain(answer));
  return pool;
};

describe("drafts from a pool", () => {
  test("before the first token: the newest answer from its start", () => {
    const pool = poolOf(tokens(1, 2, 3), tokens(10, 11), tokens(20, 21, 22));
    expect([...pool.propose([], 2)]).toEqual([20, 21]);
    expect([...pool.propose([], 0)]).toEqual([]);
  });

  test("the longest match wins over the newest, and runs across the border to the prompt", () => {
    const pool = poolOf(tokens(1, 2), tokens(5, 3, 6, 7), tokens(9, 3, 6, 8));
    // 1 2 5 3 6 is only in the first; 3 6 alone in both.
    expect([...pool.propose([5, 3, 6], 4)]).toEqual([7]);
    expect([...pool.propose([0, 3, 6], 4)]).toEqual([8]);
  });

  test("answers that meet again behind a difference go on together", () => {
    const pool = poolOf(tokens(1), tokens(4, 5, 30, 6, 7, 8, 9));
    expect([...pool.propose([4, 5, 31, 6, 7], 2)]).toEqual([8, 9]);
    expect([...pool.propose([4, 5, 31], 2)]).toEqual([]);
  });

  test("nothing written before, nothing proposed: what stands in the prompt is no draft", () => {
    expect([...new DraftPool(tokens(40, 41, 42, 43)).propose([40, 41], 3)]).toEqual([]);
  });

  test("tokens follow while all of them are likely: by their leads, and by what is in common before them", () => {
    const pool = new DraftPool(tokens(1, 2));
    pool.add(tokens(10, 11, 12, 13, 14), Float32Array.of(0.3, 9, 0.1, 5, 0.6));
    // From the beginning: 0.92 x 1, then 0.68 on top is too little.
    expect([...pool.propose([], 9)]).toEqual([10, 11]);
    expect([...pool.propose([10, 11], 9)]).toEqual([]);
    expect([...pool.propose([10, 11, 12], 9)]).toEqual([13, 14]);
    // One token in common: 0.78, and with two 0.68 on top is too little.
    expect([...pool.propose([7, 12], 9)]).toEqual([13]);
    expect([...pool.propose([7, 13], 9)]).toEqual([]);
  });

  test("an answer is expected to be as long as the newest one", () => {
    expect(poolOf(tokens(1)).expected).toBe(0);
    expect(poolOf(tokens(1), tokens(4, 5, 6), tokens(7, 8)).expected).toBe(2);
  });
});
