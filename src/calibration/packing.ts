import { withChoices } from "../data/choices.js";
import type { Sample, SampleSet } from "../data/sample.js";
import type { Batch } from "../engine/pack-batches.js";
import type { Family } from "../lora/candidate.js";
import { foldsOfSamples } from "../search/folds.js";
import { seededRandom, shuffledIndices } from "../search/resample.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";

export interface PackingQuestion {
  readonly objective?: ObjectiveChoice | undefined;
  readonly families?: readonly Family[] | undefined;
  readonly seed?: number | undefined;
  readonly holdout?: number | undefined;
}

/** Which samples a search gets scores of at a time. */
export interface Packing {
  readonly seed: number;
  /** What a session scores: the samples, or every choice of each. */
  readonly scored: readonly Sample[];
  /** Block of each of those; none shares a session's batch with another block's. */
  readonly blocks: Int32Array | undefined;
  /** Samples, by index, that are answered together: the blocks. Null: a session's own batches are the search's. */
  readonly batches: readonly Batch[] | null;
  /** Fold of every sample: a subset search ranks and judges on different samples, so on different batches. */
  readonly folds: Int32Array | undefined;
}

/** Answers are written to so many samples at a time: enough to fill a batch, few enough for a race to look in between. */
const ANSWERED_TOGETHER = 8;

/** @throws InputError SAMPLES_NO_CHOICES for the objective `choice` */
export function packingOf(set: SampleSet, { objective, families, seed = 0, holdout }: PackingQuestion): Packing {
  const { samples } = set;
  const { by } = judgedBy(objective);
  const groups = samples.map(({ group }) => group);
  const folds = families?.includes("subset") === true ? foldsOfSamples(groups, seed, holdout) : undefined;
  if (by === "tokens") return { seed, scored: samples, blocks: folds, batches: null, folds };
  const batches = answerBatches(samples.length, seed, folds);
  const blockOf = new Int32Array(samples.length);
  for (const [block, batch] of batches.entries()) for (const sample of batch) blockOf[sample] = block;
  if (by === "answers") return { seed, scored: samples, blocks: blockOf, batches, folds };
  const choices = withChoices(set).map((sample) => sample.choices.options);
  const blocks = Int32Array.from(choices.flatMap((options, sample) => options.map(() => blockOf[sample] ?? 0)));
  return { seed, scored: choices.flat(), blocks, batches, folds };
}

/** Samples in random order, at most `together` at a time, of each fold its share in any first few batches. */
export function answerBatches(
  samples: number,
  seed: number,
  folds?: Int32Array,
  together = ANSWERED_TOGETHER,
): readonly Batch[] {
  const order = Array.from(shuffledIndices(samples, seededRandom(seed, 7)));
  return [...new Set(folds ?? [0])]
    .sort((a, b) => a - b)
    .flatMap((fold) => {
      const members = order.filter((sample) => folds === undefined || folds[sample] === fold);
      const count = Math.ceil(members.length / together);
      return Array.from({ length: count }, (_, index) => ({
        place: (index + 0.5) / count,
        // Dealt out evenly: a last batch of one would take as many steps as one of eight.
        batch: members.filter((__, position) => position % count === index),
      }));
    })
    .sort((a, b) => a.place - b.place)
    .map(({ batch }) => batch);
}

/** Block of every batch of a session, in which samples were packed by blocks. */
export function blocksOfBatches(batches: readonly Batch[], blocks: Int32Array): readonly number[] {
  return batches.map(([first = 0]) => blocks[first] ?? 0);
}

/** Fold of every batch, where samples were packed by folds. */
export function foldsOfBatches(
  batches: readonly Batch[],
  folds: Int32Array | undefined,
): readonly number[] | undefined {
  return folds && blocksOfBatches(batches, folds);
}
