import { withChoices } from "../data/choices.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import { CHOICE, choiceScores } from "../evaluation/choosing.js";
import { turned } from "../search/objective.js";
import type { SearchScorer } from "../search/scorer.js";
import { blocksOfBatches, type Packing } from "./packing.js";

/** Rows with choices as a search sees them: the losses of all choices of some rows, and whether the right one is the least. */
export function choiceScorer(
  adapter: Adapter,
  set: SampleSet,
  session: ScoreSession,
  { batches, blocks }: Packing,
): SearchScorer {
  const samples = withChoices(set);
  const blockOf = blocksOfBatches(session.batches, blocks ?? new Int32Array());
  const batchesOf = (chosen: readonly number[] | undefined) =>
    chosen === undefined ? undefined : blockOf.flatMap((block, batch) => (chosen.includes(block) ? [batch] : []));
  return {
    layers: adapter.model.layers,
    coveredLayers: adapter.file.layers,
    units: adapter.units,
    groups: samples.map(({ group }) => group),
    tokens: new Int32Array(samples.length).fill(1),
    batches: batches ?? [],
    cost: (candidates, chosen) => session.cost(candidates, { batches: batchesOf(chosen) }).passes,
    async score(candidates, { batches: chosen, ...options }) {
      const losses = await session.score(candidates, { ...options, batches: batchesOf(chosen) });
      return losses.map((column) => turned(choiceScores(samples, column), CHOICE));
    },
  };
}
