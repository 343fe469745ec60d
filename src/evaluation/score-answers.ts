import type { ReferencedSample } from "../data/references.js";
import { jackknifeValues } from "../metrics/jackknife.js";
import { isAdditive, type Metric } from "../metrics/metric.js";

/** One metric over all candidates: what statistics sees. */
export interface MetricColumns {
  readonly name: string;
  readonly higherIsBetter: boolean;
  readonly unit: string;
  readonly candidates: readonly MetricColumn[];
}

export interface MetricColumn {
  /** On the metric's own scale, length n. */
  readonly perSample: Float64Array;
  /** Null where the figure of a set is the mean of its samples. */
  readonly corpus: number | null;
  /** Per-sample values whose mean is the corpus figure; null where the metric does not add up. */
  readonly corpusValues: Float64Array | null;
}

/**
 * Scores the answers of every candidate.
 *
 * @param answers per candidate, one per sample
 * @throws InputError where a user's metric fails, naming the line
 */
export function scoreAnswers(
  metric: Metric,
  answers: readonly (readonly string[])[],
  samples: readonly ReferencedSample[],
): MetricColumns {
  const references = samples.map((sample) => sample.references);
  const facts = samples.map(({ line, source }) => ({ line, row: source.row }));
  return {
    name: metric.name,
    higherIsBetter: metric.higherIsBetter,
    unit: metric.unit,
    candidates: answers.map((texts) => ({
      perSample: Float64Array.from(facts, (sample, index) =>
        metric.perSample(texts[index] ?? "", references[index] ?? [], sample),
      ),
      corpus: metric.corpus?.(texts, references, facts) ?? null,
      corpusValues: isAdditive(metric) ? jackknifeValues(metric, texts, references) : null,
    })),
  };
}
