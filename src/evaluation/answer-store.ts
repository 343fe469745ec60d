import type { Answer, GenerationFacts } from "../generation/types.js";

/** A candidate's answers to the samples of one batch, and what it took to write them. */
export interface KeptAnswers {
  /** One per sample of the batch, in its order; tokens and margins are drafts for whoever answers next. */
  readonly answers: readonly Pick<Answer, "text" | "tokens" | "margins" | "finish">[];
  readonly facts: GenerationFacts;
}

/**
 * Answers kept elsewhere: a writer asks before it writes and tells after each batch. What a candidate writes to a batch is the
 * same whoever wrote before, but for ties within float noise; taken up in the order in which they are asked for, even those
 * are the same.
 */
export interface AnswerStore {
  /** @param strengths see `strengthsOf` */
  answers(batch: number, strengths: Float32Array): KeptAnswers | undefined;
  storeAnswers(batch: number, strengths: Float32Array, written: KeptAnswers): Promise<void>;
}
