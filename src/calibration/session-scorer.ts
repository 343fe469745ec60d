import { scoredCount, type Sample, type SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { Batch } from "../engine/pack-batches.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective } from "../engine/session-types.js";
import type { Family } from "../lora/candidate.js";
import { foldsOfSamples } from "../search/folds.js";
import type { SearchScorer } from "../search/scorer.js";

export interface PackingQuestion {
  readonly families?: readonly Family[] | undefined;
  readonly seed?: number | undefined;
  readonly holdout?: number | undefined;
}

/** How samples are packed for a search: a subset search ranks and judges on different samples, so on different batches. */
export function packingOf({ samples }: SampleSet, { families, seed = 0, holdout }: PackingQuestion) {
  const groups = samples.map(({ group }) => group);
  const blocks = families?.includes("subset") === true ? foldsOfSamples(groups, seed, holdout) : undefined;
  return { seed, blocks };
}

/** Fold of every batch, where samples were packed by folds. */
export function foldsOfBatches(
  batches: readonly Batch[],
  blocks: Int32Array | undefined,
): readonly number[] | undefined {
  return blocks && batches.map(([first = 0]) => blocks[first] ?? 0);
}

/** What a search sees of a scoring session. */
export function sessionScorer(
  adapter: Adapter,
  { samples }: SampleSet,
  session: ScoreSession,
  objective?: ScoreObjective,
): SearchScorer {
  return {
    layers: adapter.model.layers,
    coveredLayers: adapter.file.layers,
    units: adapter.units,
    groups: samples.map(({ group }) => group),
    tokens: scoredTokensOf(samples),
    batches: session.batches,
    score: (candidates, options) => session.score(candidates, { ...options, objective }),
    cost: (candidates, batches) => session.cost(candidates, { objective, batches }).passes,
  };
}

export function scoredTokensOf(samples: readonly Sample[]): Int32Array {
  return Int32Array.from(samples, scoredCount);
}
