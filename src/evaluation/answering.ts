import type { ReferencedSample } from "../data/references.js";
import { CancelledError, InternalError } from "../errors.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { Metric } from "../metrics/metric.js";
import { turned } from "../search/objective.js";
import type { SearchScorer } from "../search/scorer.js";
import type { WriteOptions } from "./answer-writer.js";

/**
 * Writes a candidate's answers to the samples of one batch, greedily.
 *
 * @returns one per sample of the batch, in its order; may be empty
 */
export type WriteAnswers = (candidate: NamedScales, batch: number, options: WriteOptions) => Promise<readonly string[]>;

/** Answers of one candidate to some samples. */
export interface WrittenAnswers {
  readonly candidate: NamedScales;
  /** Indices of the samples. */
  readonly samples: readonly number[];
  /** In their order. */
  readonly answers: readonly string[];
}

export interface AnsweredModel extends Pick<SearchScorer, "layers" | "coveredLayers" | "units" | "batches"> {
  readonly samples: readonly ReferencedSample[];
  readonly metric: Metric;
  readonly write: WriteAnswers;
  /** The order in which candidates answer a batch, look-alikes side by side: what one wrote is a draft for the next. Default: as asked. */
  readonly order?: (candidates: readonly Candidate[], batch: number) => Promise<readonly Candidate[]>;
  /** Passes that one candidate's answers to a batch take; default 1. */
  readonly passes?: (batch: number) => number;
  /** Called with what was written as soon as it is, before anything is made of it. */
  readonly onAnswers?: (written: WrittenAnswers) => void;
  /** Takes what the metric says of a batch's answers, on its own scale. */
  readonly keepScores?: (candidate: Candidate, batch: number, scores: readonly number[]) => Promise<void>;
}

/**
 * Answers as a search sees them: the metric's per-sample scores as losses. With it any strategy, gate, verdict, choice and
 * control works on the metric; give the metric as the `objective`, and scores are told on their own scale.
 */
export function answerScorer(model: AnsweredModel): SearchScorer {
  const { metric, samples, batches, write, onAnswers, keepScores } = model;
  const { order = asGiven, passes = () => 1 } = model;
  const all = batches.map((_, batch) => batch);
  const cost = (candidates: readonly unknown[], chosen: readonly number[] = all) =>
    candidates.length * chosen.reduce((sum, batch) => sum + passes(batch), 0);
  return {
    layers: model.layers,
    coveredLayers: model.coveredLayers,
    ...(model.units && { units: model.units }),
    groups: samples.map(({ group }) => group),
    // Answers weigh the same, however long their references are.
    tokens: new Int32Array(samples.length).fill(1),
    batches,
    cost,
    async score(candidates, { batches: chosen = all, signal, onProgress }) {
      const total = cost(candidates, chosen);
      let before = 0;
      const losses = new Map(candidates.map(({ id }) => [id, new Float64Array(samples.length).fill(NaN)]));
      for (const batch of chosen) {
        const members = batches[batch] ?? [];
        for (const candidate of await order(candidates, batch)) {
          if (signal?.aborted === true) throw new CancelledError();
          const answers = await write(candidate, batch, {
            signal,
            onAnswer: (done) => onProgress?.({ done: before + (passes(batch) * done) / members.length, total }),
          });
          requireAll(candidate, answers, members);
          onAnswers?.({ candidate, samples: members, answers });
          const scores = members.map((sample, place) => scoreOf(metric, answers[place] ?? "", samples[sample]));
          await keepScores?.(candidate, batch, scores);
          const column = losses.get(candidate.id);
          const ofBatch = turned(scores, metric);
          for (const [place, sample] of members.entries()) if (column) column[sample] = ofBatch[place] ?? NaN;
          before += passes(batch);
          onProgress?.({ done: before, total });
        }
      }
      return candidates.map(({ id }) => losses.get(id) ?? new Float64Array());
    },
  };
}

const asGiven: NonNullable<AnsweredModel["order"]> = (candidates) => Promise.resolve(candidates);

/**
 * Tries a metric on every sample's own first reference and on an empty answer: one that fails must not do so after hours.
 *
 * @throws InputError METRIC_FAILED, METRIC_VALUE naming the line
 */
export function requireMetric(metric: Metric, samples: readonly ReferencedSample[]): void {
  for (const sample of samples) {
    scoreOf(metric, sample.references[0] ?? "", sample);
    scoreOf(metric, "", sample);
  }
}

/** @throws InputError METRIC_FAILED, METRIC_VALUE naming the line */
export function scoreOf(metric: Metric, answer: string, sample: ReferencedSample | undefined): number {
  if (sample === undefined) throw new InternalError("ANSWERS_SHAPE", "There is no such sample.");
  const { references, line, source } = sample;
  return metric.perSample(answer, references, { line, row: source.row });
}

function requireAll({ id }: NamedScales, answers: readonly string[], samples: readonly number[]): void {
  if (answers.length === samples.length) return;
  throw new InternalError(
    "ANSWERS_SHAPE",
    `Expected ${samples.length} answers of \`${id}\` but received ${answers.length}.`,
  );
}
