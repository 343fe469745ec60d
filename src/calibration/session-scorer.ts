import { scoredCount, type Sample, type SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective } from "../engine/session-types.js";
import type { SearchScorer } from "../search/scorer.js";

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
