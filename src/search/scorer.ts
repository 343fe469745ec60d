import type { Candidate } from "../lora/candidate.js";
import type { Part } from "../lora/lora-pair.js";

/** Work done and to do, in passes: layer-token evaluations / (L x tokens of all samples). */
export interface ScoreProgress {
  readonly done: number;
  readonly total: number;
}

export interface ScoreOptions {
  /** Which batches to score, by index; default all. */
  readonly batches?: readonly number[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScoreProgress) => void;
}

/** What can be dropped on its own: a layer's LoRA, or one of its halves. */
export interface Unit {
  readonly layer: number;
  /** Null: the whole layer. */
  readonly part: Part | null;
}

/** All that a strategy knows of the engine: per-sample scores, lower is better, and what they cost. */
export interface SearchScorer {
  /** L, the layers of the model. */
  readonly layers: number;
  /** Layers that have LoRA. */
  readonly coveredLayers: readonly number[];
  /** What a subset search may drop, from the lowest up; default: the covered layers. */
  readonly units?: readonly Unit[];
  /** Group name of every sample. */
  readonly groups: readonly string[];
  /** Scored tokens of every sample. */
  readonly tokens: Int32Array;
  /**
   * Sample indices of the batches that are computed together. Any first few of them are a fair picture of all samples,
   * so a strategy may look at its scores after any batch.
   */
  readonly batches: readonly (readonly number[])[];
  /**
   * @returns per candidate, in their order: one score per sample, lower is better; NaN for samples of other batches
   * @throws CancelledError when the signal aborts
   */
  score(candidates: readonly Candidate[], options: ScoreOptions): Promise<readonly Float64Array[]>;
  /** Passes that scoring would take, by default on all batches. Nothing runs. */
  cost(candidates: readonly Candidate[], batches?: readonly number[]): number;
}
