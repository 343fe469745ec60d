import { CancelledError } from "../../src/errors.js";
import type { Candidate } from "../../src/lora/candidate.js";
import type { ScoreOptions, SearchScorer } from "../../src/search/scorer.js";
import { scaleCandidates } from "../../src/search/families.js";
import { seededRandom } from "../../src/search/resample.js";
import { isUniform, tableWith, type ScoreTable } from "../../src/search/scores.js";
import { allLayers, normalNoise } from "./search-curves.js";

/** A scorer that answers from a recorded or synthetic table, and remembers what it was asked for. */
export interface RecordedScorer extends SearchScorer {
  /** Names of the candidates of every call. */
  readonly calls: readonly (readonly string[])[];
}

/**
 * All samples are one batch. Stops inside a call where the signal says so, as the engine does.
 *
 * @param onCall runs inside every call, before its second step
 */
export function tableScorer(table: ScoreTable, onCall?: (call: number) => void): RecordedScorer {
  const calls: string[][] = [];
  const layers = table.candidates[0]!.layerScales.length;
  return {
    layers,
    coveredLayers: allLayers(layers),
    groups: table.groups,
    tokens: table.tokens,
    calls,
    batches: [Array.from(table.tokens, (_, sample) => sample)],
    cost: (candidates: readonly Candidate[]) => candidates.length,
    async score(candidates: readonly Candidate[], { signal }: ScoreOptions) {
      calls.push(candidates.map(({ id }) => id));
      await Promise.resolve();
      onCall?.(calls.length);
      if (signal?.aborted === true) throw new CancelledError();
      return candidates.map(({ id }) => {
        const scores = table.perSample[table.candidates.findIndex((candidate) => candidate.id === id)];
        if (scores === undefined) throw new Error(`The table has no ${id}.`);
        return scores;
      });
    },
  };
}

/**
 * The five global scales behind a table. Each loses the same share of the adapter's gain on average.
 *
 * @param loss against the full adapter, as a share of its gain; below 0 the scales are better
 */
export function withControls(table: ScoreTable, loss: number, seed = 0): ScoreTable {
  const random = seededRandom(seed, 8);
  const row = (strength: number) =>
    table.perSample[table.candidates.findIndex((candidate) => isUniform(candidate, strength))]!;
  const [base, full] = [row(0), row(1)];
  const controls = scaleCandidates(table.candidates[0]!.layerScales.length);
  const scores = controls.map(() =>
    full.map((score, sample) => score + loss * (base[sample]! - score) + 0.02 * normalNoise(random)),
  );
  return tableWith(table, controls, scores);
}
