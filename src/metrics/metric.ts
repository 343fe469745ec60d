/** What a metric may see of a sample beside its references. */
export interface MetricSample {
  /** 1-based line in the samples file, or place in the array. */
  readonly line: number;
  /** The row as its file has it, the user's own fields included. */
  readonly row: Readonly<Record<string, unknown>>;
}

/**
 * Scores answers against references. A verdict is about pairs, so every metric scores samples one by one; what the field
 * reports of a whole set (`corpus`) is a figure beside, and equals the mean of the samples only where the metric is a mean.
 */
export interface Metric {
  /** As `--metric` names it: `rouge-l`. */
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** What its numbers are counted in, for sentences: `points`, `of 1`. */
  readonly unit: string;
  /** Of the module that it comes from; absent: built in, or a program's own. */
  readonly sha256?: string;
  /**
   * @param references at least one; several are alternatives
   * @returns finite
   * @throws InputError where a user's metric fails, or a reference has nothing to compare with
   */
  perSample(answer: string, references: readonly string[], sample: MetricSample): number;
  /**
   * Of a whole set; lists of one length, at least one long. Null where the set's figure is the mean of the samples.
   *
   * @throws InputError where a user's metric fails
   */
  readonly corpus:
    | ((
        answers: readonly string[],
        references: readonly (readonly string[])[],
        samples: readonly MetricSample[],
      ) => number)
    | null;
}

/** Names a metric by what it computes, as far as its own module tells. */
export function metricIdentity({ name, sha256 }: Pick<Metric, "name" | "sha256">): string {
  return sha256 === undefined ? name : `${name} ${sha256}`;
}

/**
 * A metric of whole sets that adds up counts: sample statistics are summed, and the sum gives the figure. So leaving one
 * sample out costs a subtraction, see `jackknifeValues`.
 */
export interface AdditiveMetric extends Metric {
  statistics(answer: string, references: readonly string[]): Float64Array;
  fromStatistics(sums: Float64Array): number;
}

export function isAdditive(metric: Metric): metric is AdditiveMetric {
  return "statistics" in metric;
}

/** The best of several references, the usual rule of everything but BLEU. */
export function bestOf(references: readonly string[], score: (reference: string) => number): number {
  return references.reduce((best, reference) => Math.max(best, score(reference)), -Infinity);
}
