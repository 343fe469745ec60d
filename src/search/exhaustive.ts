import { CancelledError } from "../errors.js";
import type { Candidate, Family } from "../lora/candidate.js";
import { conclude, concludeFrom, type ConcludeOptions, type Conclusion } from "./conclude.js";
import { needsControl } from "./controls.js";
import { boundaryCandidates, scaleCandidates } from "./families.js";
import { completeJudgeOptions } from "./judge-options.js";
import { judge } from "./judge.js";
import { tableWith } from "./scores.js";
import { independentUnits, requireSpread } from "./units.js";

/** Work done and to do in one call of the scorer, in passes: layer-token evaluations / (L x tokens of all samples). */
export interface ScoreProgress {
  readonly done: number;
  readonly total: number;
}

export interface ScoreOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScoreProgress) => void;
}

/** All that a strategy knows of the engine: per-sample scores of the candidates it asks for, on the same samples. */
export interface SearchScorer {
  /** L, the layers of the model. */
  readonly layers: number;
  /** Layers that have LoRA. */
  readonly coveredLayers: readonly number[];
  /** Group name of every sample. */
  readonly groups: readonly string[];
  /** Scored tokens of every sample. */
  readonly tokens: Int32Array;
  /**
   * @returns per candidate, in their order: loss on every sample, lower is better; mean NLL per scored token in nats, or
   *   another objective (`objective.ts`)
   * @throws CancelledError when the signal aborts
   */
  score(candidates: readonly Candidate[], options: ScoreOptions): Promise<readonly Float64Array[]>;
}

export interface SearchProgress extends ScoreProgress {
  /** `controls` follows `boundary` only where a cut would be called better, or when asked for. */
  readonly stage: "boundary" | "controls";
}

export interface SearchOptions extends Omit<ConcludeOptions, "coveredLayers"> {
  /** Default `["boundary"]`; with `scale` the controls are scored at once and not only when needed. */
  readonly families?: readonly Family[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: SearchProgress) => void;
}

export interface SearchOutcome extends Conclusion {
  readonly strategy: "exhaustive";
}

/**
 * What an exhaustive search scores: `first` in any case, `controls` where some cut would be called better. Known before
 * anything is scored, so that the samples can be scored in parts.
 */
export function exhaustiveCandidates(
  layers: number,
  coveredLayers: readonly number[],
  families: readonly Family[] = ["boundary"],
): { readonly first: readonly Candidate[]; readonly controls: readonly Candidate[] } {
  const controls = scaleCandidates(layers);
  const asked = families.includes("scale");
  return { first: [...boundaryCandidates(layers, coveredLayers), ...(asked ? controls : [])], controls };
}

/**
 * Scores every boundary on every sample, then answers. All boundaries go to the scorer in one call, because they share the
 * trunk; the gate is read from the same scores. Where some cut would be called `better`, the global scales are scored as
 * well and everything is judged again over all candidates.
 *
 * A failed gate is an outcome (`gate.failure`), not an error: nothing is selected and nothing more is scored unless `force`.
 *
 * @throws InputError TOO_FEW_SAMPLES before anything is scored; UsageError as `judge`; CancelledError
 */
export async function exhaustiveSearch(scorer: SearchScorer, options: SearchOptions = {}): Promise<SearchOutcome> {
  const { families = ["boundary"], signal, onProgress, ...rest } = options;
  const judging: ConcludeOptions = { ...rest, coveredLayers: scorer.coveredLayers };
  const { layers, groups, tokens } = scorer;
  completeJudgeOptions(judging);
  requireSpread(independentUnits(groups, tokens, false));

  const score = async (stage: SearchProgress["stage"], candidates: readonly Candidate[]) => {
    if (signal?.aborted === true) throw new CancelledError();
    return scorer.score(candidates, {
      ...(signal && { signal }),
      ...(onProgress && {
        onProgress: (progress) => {
          onProgress({ stage, ...progress });
        },
      }),
    });
  };
  const { first, controls } = exhaustiveCandidates(layers, scorer.coveredLayers, families);
  const table = { candidates: first, perSample: await score("boundary", first), tokens, groups };
  const judgement = judge(table, judging);
  if (!needsControl(judgement)) return { strategy: "exhaustive", ...concludeFrom(judgement, judging) };
  const scales = await score("controls", controls);
  return { strategy: "exhaustive", ...conclude(tableWith(table, controls, scales), judging) };
}
