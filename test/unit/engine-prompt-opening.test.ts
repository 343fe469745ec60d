import { describe, expect, test } from "vitest";
import { PromptOpening } from "../../src/engine/prompt-opening.js";

const SHAPE = { layers: 4, partsPerLayer: 1, embedding: 8, mostBytes: 2 ** 20 };
const opening = (lengths: readonly number[], shape = SHAPE, firstSlot = 2, limits = { batchTokens: 10, maxRows: 3 }) =>
  new PromptOpening(
    lengths.map((length, prompt) => new Int32Array(length).fill(prompt)),
    firstSlot,
    limits,
    shape,
  );
const upTo = (b: number) => new Float32Array(6).map((_, part) => (part <= b ? 1 : 0));
const planned = (it: PromptOpening, strengths: Float32Array) => {
  const { resumeAt, keepAt } = it.plan(strengths);
  return [resumeAt, [...keepAt]];
};
const follow = (it: PromptOpening, strengths: Float32Array, kept?: readonly number[]) => {
  const plan = it.plan(strengths);
  it.done(strengths, plan, Int32Array.from(kept ?? plan.keepAt));
};

test("batches hold prompts in order, as many as tokens and rows allow", () => {
  const it = opening([4, 6, 1, 1, 1, 1, 10]);
  const { slots, offsets, tokens, batches } = it.native();
  expect([...batches]).toEqual([0, 2, 5, 6, 7]);
  expect([...offsets]).toEqual([0, 4, 10, 11, 12, 13, 14, 24]);
  expect([...slots]).toEqual([2, 3, 4, 5, 6, 7, 8]);
  expect([...tokens.subarray(3, 6)]).toEqual([0, 1, 1]);
  expect([it.batches, it.tokens, it.slotOf(3)]).toEqual([4, 24, 5]);
});

test("there is room for 256 sequences, prompts of one batch, and as much memory as was given", () => {
  expect(opening([10, 10]).fits).toBe(true);
  expect(opening([10, 11]).fits).toBe(false);
  expect([opening(Array<number>(254).fill(1)).fits, opening(Array<number>(255).fill(1)).fits]).toEqual([true, false]);
  // 3 tokens of 8 numbers: 4 layers remember 2 x 16 bits of each, and one border keeps 32.
  const within = (mostBytes: number) => opening([3], { ...SHAPE, mostBytes });
  expect([within(480).fits, within(479).fits, within(0).fits]).toEqual([true, false, false]);
});

describe("where an opening resumes", () => {
  test("below what differs from the candidate before; what that computed above is lost", () => {
    const it = opening([3]);
    expect(planned(it, upTo(4))).toEqual([0, [1, 2, 3]]);
    follow(it, upTo(4));
    expect(planned(it, upTo(4))).toEqual([3, []]);
    expect(planned(it, upTo(2))).toEqual([2, [3]]);
    follow(it, upTo(2));
    // Layers 2 and 3 are those of upto:2 now.
    expect(planned(it, upTo(4))).toEqual([2, [3]]);
    expect(planned(it, upTo(0))).toEqual([0, [1, 2, 3]]);
    it.forget();
    expect(planned(it, upTo(2))).toEqual([0, [1, 2, 3]]);
  });

  test("at a border that the graph has, and only every few layers where states are large", () => {
    const it = opening([3]);
    follow(it, upTo(4), [1]);
    expect(planned(it, upTo(3))).toEqual([1, [2, 3]]);
    follow(it, upTo(3), []);
    expect(planned(it, upTo(2))).toEqual([1, [2, 3]]);
    const within = (mostBytes: number) => planned(opening([3], { ...SHAPE, mostBytes }), upTo(4))[1];
    expect([within(480 + 2 * 96), within(480 + 96), within(480)]).toEqual([[1, 2, 3], [2], [3]]);
  });
});
