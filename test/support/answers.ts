import { expect } from "vitest";
import type { Answer } from "../../src/generation/types.js";

/**
 * Two ways to compute one answer: the same tokens, or up to the first that is a tie: both ways choose one of the same two
 * tokens there, and the lead of the one over the other moved by no more than `noise` logits.
 */
export function expectSameButForTies(one: Answer, other: Answer, noise: number): void {
  const at = one.tokens.findIndex((token, index) => token !== other.tokens[index]);
  if (at === -1) {
    expect([...other.tokens]).toEqual([...one.tokens]);
    return;
  }
  expect([one.runnersUp[at], one.tokens[at]], `tokens at ${at}`).toEqual([other.tokens[at], other.runnersUp[at]]);
  expect(one.margins[at]! + other.margins[at]!, `lead at ${at}`).toBeLessThanOrEqual(noise);
}

/** Everything of answers that two runs can have in common, bit for bit. */
export const plainAnswers = (answers: readonly Answer[]) =>
  answers.map(({ text, tokens, margins, runnersUp, finish }) => ({
    ...{ text, finish, tokens: [...tokens], margins: [...margins], runnersUp: [...runnersUp] },
  }));
