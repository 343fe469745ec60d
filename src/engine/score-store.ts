import type { ReplayMode } from "./session-types.js";

/** What the self-check of a session has found; holds for every run with the same inputs. */
export interface SelfCheck {
  readonly replay: NonNullable<ReplayMode>;
  /** Where the loss was computed. */
  readonly loss: "graph" | "host";
  /** Largest difference seen, nats per scored token. */
  readonly noiseFloor: number;
  readonly notices: readonly string[];
  /** [L], whether a run can resume at layer k. */
  readonly usable: readonly boolean[];
  /** Layer-token evaluations that the check added. */
  readonly layerTokens: number;
}

/**
 * Finished work of one session, kept elsewhere: a session asks before it computes and tells after each run. What a
 * candidate scores in a batch does not depend on which others are scored with it, so any part of the work may be known.
 */
export interface ScoreStore {
  /** Null until a self-check was stored. */
  readonly check: SelfCheck | null;
  storeCheck(check: SelfCheck): Promise<void>;
  /**
   * @param batch index in the session's packing
   * @param strengths see `strengthsOf`
   * @returns per sample of the batch, summed negative log-likelihood, nats; undefined where it is not known
   */
  sums(batch: number, strengths: Float32Array): Float64Array | undefined;
  store(batch: number, strengths: Float32Array, sums: Float64Array): Promise<void>;
}
