import type { WritingAnswer } from "./writing-answer.js";

/** What one slot gets in a step. */
export interface SlotShare {
  readonly answer: WritingAnswer;
  /** Tokens of its prompt, or the one written last. */
  readonly tokens: Int32Array;
  /** Guesses behind them; null: tokens of the prompt are still missing, so no token is wanted yet. */
  readonly drafts: Int32Array | null;
}

export interface StepLimits {
  readonly batchTokens: number;
  /** Tokens for which logits are wanted. */
  readonly maxRows: number;
}

/**
 * Shares a batch out: answers that are being written come first, one token each, then prompts as far as there is room, then
 * drafts for what remains. The same answers give the same step.
 *
 * @param draft guesses for an answer, at most `most` of them
 */
export function planStep(
  answers: readonly WritingAnswer[],
  { batchTokens, maxRows }: StepLimits,
  draft: (answer: WritingAnswer, most: number) => Int32Array,
): SlotShare[] {
  let room = batchTokens;
  const counts = new Map<WritingAnswer, number>();
  const byNeed = [...answers].sort((a, b) => Number(a.waiting > 1) - Number(b.waiting > 1));
  for (const answer of byNeed) {
    const count = Math.min(answer.waiting, room);
    if (count > 0) counts.set(answer, count);
    room -= count;
  }
  let rows = maxRows - [...counts].filter(([answer, count]) => count === answer.waiting).length;
  return [...counts].map(([answer, count]) => {
    const tokens = answer.next(count);
    if (count < answer.waiting) return { answer, tokens, drafts: null };
    // The token behind the last draft is chosen as well.
    const most = Math.max(0, Math.min(room, rows, answer.room - 1));
    const drafts = most === 0 ? new Int32Array() : draft(answer, most);
    room -= drafts.length;
    rows -= drafts.length;
    return { answer, tokens, drafts };
  });
}
