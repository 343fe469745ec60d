import { describe, expect, test } from "vitest";
import { DraftLength } from "../../src/generation/draft-length.js";
import { DraftPool } from "../../src/generation/draft-pool.js";

const tokens = (...ids: number[]) => Int32Array.from(ids);

describe("drafts from a pool", () => {
  test("before the first token: the newest answer from its start", () => {
    const pool = new DraftPool(tokens(1, 2, 3));
    pool.add(tokens(10, 11));
    pool.add(tokens(20, 21, 22));
    expect([...pool.propose([], 2)]).toEqual([20, 21]);
  });

  test("the longest match wins over the newest, and runs across the border to the prompt", () => {
    const pool = new DraftPool(tokens(1, 2));
    pool.add(tokens(5, 6, 7));
    pool.add(tokens(9, 6, 8));
    // 1 2 5 6 is only in the first; 6 alone in both.
    expect([...pool.propose([5, 6], 4)]).toEqual([7]);
    expect([...pool.propose([0, 6], 4)]).toEqual([8]);
  });

  test("answers that meet again behind a difference go on together", () => {
    const pool = new DraftPool(tokens(1));
    pool.add(tokens(4, 5, 30, 6, 7, 8, 9));
    expect([...pool.propose([4, 5, 31, 6, 7], 2)]).toEqual([8, 9]);
  });

  test("words of the prompt are proposed; nothing alike, nothing proposed", () => {
    const pool = new DraftPool(tokens(40, 41, 42, 43));
    expect([...pool.propose([7, 41], 3)]).toEqual([42, 43]);
    expect([...pool.propose([7], 3)]).toEqual([]);
    expect([...pool.propose([7, 41], 0)]).toEqual([]);
  });
});

describe("the draft length", () => {
  test("follows what was accepted", () => {
    const length = new DraftLength(16, 4);
    const after = (proposed: number, accepted: number) => {
      length.note(proposed, accepted);
      return length.among(64);
    };
    expect([after(4, 4), after(8, 8), after(16, 16), after(16, 5), after(5, 0), after(0, 0), after(1, 1)]).toEqual([
      8, 16, 16, 5, 1, 1, 2,
    ]);
  });

  test("is the larger, the fewer sequences share a step; what was right still counts by its own length", () => {
    const length = new DraftLength(16, 1);
    expect([64, 32, 16, 11, 8, 1].map((sequences) => length.among(sequences))).toEqual([1, 2, 4, 5, 8, 8]);
    expect(new DraftLength(6, 1).among(1)).toBe(6);
    length.note(8, 2);
    expect([length.among(64), length.among(16)]).toEqual([2, 4]);
    length.note(4, 1);
    expect(length.among(64)).toBe(1);
  });
});
