import type { AdditiveMetric } from "./metric.js";

/**
 * Per-sample values of a metric of whole sets: n x M(all) - (n - 1) x M(all but i), the jackknife's pseudo-values (Tukey
 * 1958). Their mean is the bias-corrected M, and their spread is, to first order, that of M. So paired differences of two
 * candidates' pseudo-values bound the difference of two corpus scores with the same statistics as any other score.
 *
 * The first-order claim is checked for BLEU and chrF on a hundred answers in the tests; below about thirty samples, or where
 * the corpus has no four-gram match, sentence scores are the safer pairs.
 *
 * @returns length n, n the number of answers; at least 2
 */
export function jackknifeValues(
  metric: AdditiveMetric,
  answers: readonly string[],
  references: readonly (readonly string[])[],
): Float64Array {
  const each = answers.map((answer, index) => metric.statistics(answer, references[index] ?? []));
  const sums = Float64Array.from(each[0] ?? [], (_, field) =>
    each.reduce((sum, statistics) => sum + (statistics[field] ?? 0), 0),
  );
  const all = metric.fromStatistics(sums);
  const count = each.length;
  return Float64Array.from(each, (statistics) => {
    const without = metric.fromStatistics(sums.map((sum, field) => sum - (statistics[field] ?? 0)));
    return count * all - (count - 1) * without;
  });
}
