import type { Candidate } from "../lora/candidate.js";

/** Scores of candidates on the same samples in the same packing; all that statistics ever sees. */
export interface ScoreTable {
  readonly candidates: readonly Candidate[];
  /** Per candidate, in the order of `candidates`: mean NLL per scored token of every sample, nats, lower is better. */
  readonly perSample: readonly Float64Array[];
  /** Scored tokens of every sample. */
  readonly tokens: Int32Array;
  /** Group name of every sample; samples of one group are drawn together. */
  readonly groups: readonly string[];
}
