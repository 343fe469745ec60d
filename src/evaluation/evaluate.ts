import { withReferences } from "../data/references.js";
import type { SampleSet } from "../data/sample.js";
import { InternalError, UsageError } from "../errors.js";
import { adaptedLayers, type NamedScales } from "../lora/candidate.js";
import type { Metric } from "../metrics/metric.js";
import { packageVersion } from "../package-version.js";
import { completeJudgeOptions } from "../search/judge-options.js";
import { NLL, type Objective } from "../search/objective.js";
import { CHOICE } from "./choosing.js";
import { compare } from "./compare.js";
import type { EvaluationResult } from "./result.js";
import { scoreAnswers, type MetricColumns } from "./score-answers.js";

/** What is evaluated: all facts, nothing that computes. */
export interface Evaluation {
  readonly model: { readonly path: string };
  readonly adapter: { readonly path: string; readonly coveredLayers: readonly number[] };
  readonly samples: SampleSet;
  /** The base model first, the full adapter second. */
  readonly candidates: readonly NamedScales[];
  /** Per candidate, one per sample; null where only the loss is asked for. */
  readonly answers: readonly (readonly string[])[] | null;
  readonly metrics: readonly Metric[];
  /** Per candidate: mean NLL per scored token of every sample; null where it is not asked for. */
  readonly losses: readonly Float64Array[] | null;
  /** Per candidate: whether each sample's right choice is the likeliest (`choiceScores`); null where it is not asked for. */
  readonly choices?: readonly Float64Array[] | null;
}

export interface EvaluateOptions {
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number;
  /** Of the bootstrap; default 0. */
  readonly seed?: number;
  readonly chosenOn?: EvaluationResult["chosenOn"];
  /** The samples are not all that were asked for. */
  readonly partial?: EvaluationResult["partial"];
  readonly notices?: readonly string[];
  /** Goes into the result as it is. */
  readonly command?: readonly string[];
}

/**
 * Compares candidates by their answers, by their losses, or both: a function of what they wrote, which needs no model.
 * Every difference is about pairs, on the same samples, and all bounds of the result hold together. For BLEU and chrF the
 * pairs are sentence scores; the set's own figure stands beside, its difference bounded by the jackknife.
 *
 * @throws UsageError METRICS_EMPTY, CONFIDENCE_RANGE, SEED_RANGE; InputError for samples without references, a user's
 *   metric that fails, and TOO_FEW_SAMPLES with fewer than 2 independent samples
 */
export function evaluate(evaluation: Evaluation, options: EvaluateOptions = {}): EvaluationResult {
  const { model, adapter, samples, candidates, answers, metrics, losses, choices = null } = evaluation;
  const { confidence, seed, chosenOn = null, partial = null, notices = [], command = [] } = options;
  const settings = completeJudgeOptions({
    coveredLayers: [],
    ...(confidence !== undefined && { confidence }),
    ...(seed !== undefined && { seed }),
  });
  if (metrics.length === 0 && losses === null && choices === null) {
    throw new UsageError("METRICS_EMPTY", "Expected at least one metric but received none.");
  }
  requireShape(evaluation);
  const referenced = metrics.length === 0 ? null : withReferences(samples);
  const columns = [
    ...(losses === null ? [] : [columnsOf(NLL, losses)]),
    ...(choices === null ? [] : [columnsOf(CHOICE, choices)]),
    ...metrics.map((metric) => scoreAnswers(metric, answers ?? [], referenced ?? [])),
  ];
  const groups = samples.samples.map(({ group }) => group);
  const { criticalValue, scores } = compare(columns, groups, settings);
  return {
    schema: "lora-boundary/evaluation@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command,
    model: { path: model.path },
    adapter: { path: adapter.path },
    data: {
      path: samples.path,
      sha256: samples.sha256,
      samples: samples.samples.length,
      groups: samples.groups,
      lines: samples.samples.map(({ line }) => line),
      references: referenced?.map(({ references }) => references) ?? null,
      notices: [...samples.notices, ...notices],
    },
    metrics: columns.map(({ name, higherIsBetter, unit }) => ({ name, higherIsBetter, unit })),
    confidence: settings.confidence,
    criticalValue,
    candidates: candidates.map((candidate, index) => ({
      id: candidate.id,
      layerScales: candidate.layerScales,
      ...(candidate.feedForwardScales && { feedForwardScales: candidate.feedForwardScales }),
      adaptedLayers: adaptedLayers(candidate, adapter.coveredLayers),
      answers: answers?.[index] ?? null,
      scores: scores[index] ?? [],
    })),
    chosenOn,
    partial,
  };
}

function columnsOf(objective: Objective, scores: readonly Float64Array[]): MetricColumns {
  return {
    ...objective,
    candidates: scores.map((perSample) => ({ perSample, corpus: null, corpusValues: null })),
  };
}

function requireShape({ candidates, answers, losses, choices = null, samples, metrics }: Evaluation): void {
  const lists = [...(metrics.length > 0 ? [answers ?? []] : []), losses, choices].filter((list) => list !== null);
  for (const list of lists) {
    if (list.length === candidates.length && list.every(({ length }) => length === samples.samples.length)) continue;
    throw new InternalError(
      "EVALUATION_SHAPE",
      `Expected answers and losses of ${candidates.length} candidates on ${samples.samples.length} samples.`,
    );
  }
}
