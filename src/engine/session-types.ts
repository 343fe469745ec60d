import type { ContextOptions } from "./context-options.js";
import type { Batch } from "./pack-batches.js";

export interface ScoreSessionOptions extends ContextOptions {
  /** Tokens computed at once, default 512; a longer sample makes it as large as itself. */
  readonly batchTokens?: number | undefined;
  /** Default: the machine's, at most half of its hardware threads above four. */
  readonly threads?: number | undefined;
  /**
   * Prompts that begin alike are computed once per batch, where the model allows it; default true. Changes the last digits of
   * scores.
   */
  readonly sharePrefixes?: boolean | undefined;
  /** Of the packing: which samples are computed together, and in which order; default 0. */
  readonly seed?: number | undefined;
  /** Block of every sample; samples of two blocks are never in one batch. Default: one block. */
  readonly blocks?: ArrayLike<number> | undefined;
}

export interface ScoreProgress {
  /** Passes done and to do: layer-token evaluations / (L x tokens of all samples). */
  readonly done: number;
  readonly total: number;
}

/**
 * What a score is, per scored token and lower for better. `nll`: the negative log-likelihood of the sample's own tokens.
 * `kl`: the Kullback-Leibler divergence from the full adapter's next-token distributions to the candidate's. It is 0 for the
 * full adapter by definition, and says how alike two models are, not how good.
 */
export type ScoreObjective = "nll" | "kl";

export interface SessionScoreOptions {
  /** Default `nll`. */
  readonly objective?: ScoreObjective | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Which of the session's batches to score, by index; default all, in order. */
  readonly batches?: readonly number[] | undefined;
  readonly onProgress?: ((progress: ScoreProgress) => void) | undefined;
  /** Compute every candidate from the tokens, as llama.cpp alone would: the reference of benches and tests. */
  readonly plain?: boolean | undefined;
  /** Called after each batch with the samples that are complete for all candidates. */
  readonly onBatch?: ((samples: Batch, scores: readonly Float64Array[]) => void) | undefined;
}

/** What scoring some candidates will cost; nothing has run. */
export interface ScoreCost {
  /** Layer-token evaluations / (L x tokens of all samples). */
  readonly passes: number;
  /** What the self-check adds, once per session: a few plain runs of the first batch. */
  readonly checkPasses: number;
  /** One per candidate. */
  readonly naivePasses: number;
  /** Most states kept at the same time. */
  readonly states: number;
  /** Of kept states, to and from RPC servers; 0 without any. */
  readonly rpcStateBytes: number;
}

/**
 * `exact`: resumed and plain runs gave the same bits. `close`: they agreed within the noise of the backend, not a CPU.
 * `plain`: they did not agree, so every run is plain. Null: nothing was resumed yet.
 */
export type ReplayMode = "exact" | "close" | "plain" | null;

/** What a session has done so far. What a store knew counts as if it were done here, so a resumed run tells the same. */
export interface SessionFacts {
  readonly passes: number;
  readonly naivePasses: number;
  /** Wall time inside `score`, seconds. */
  readonly seconds: number;
  /** Of it inside native jobs. */
  readonly nativeSeconds: number;
  /** Of that copying states. */
  readonly copySeconds: number;
  readonly replay: ReplayMode;
  /** Where the loss is computed; null before anything was scored. */
  readonly loss: "graph" | "host" | null;
  /** Largest difference that the self-check saw, nats per scored token; 0 where bits are equal. */
  readonly noiseFloor: number;
  /** [L], names of the tensors that cross the border below layer k, as recorded; empty where no run can resume. */
  readonly borders: readonly string[];
  readonly notices: readonly string[];
}
