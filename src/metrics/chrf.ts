import type { AdditiveMetric } from "./metric.js";
import { countNgrams, sharedCount, totalCount, type NgramCounts } from "./ngrams.js";
import { withoutSpaces } from "./python-text.js";

const ORDERS = 6;
/** Recall weighs beta^2 times as much as precision. */
const BETA_SQUARED = 4;
/** Per order: n-grams of the answer, n-grams of the reference, matches. */
const PER_ORDER = 3;

/** Characters are code points, as in Python. */
function characterNgrams(text: string): NgramCounts {
  return countNgrams(Array.from(withoutSpaces(text)), ORDERS, "");
}

/** Against the reference that scores best; of equal ones the first. */
function statistics(answer: string, references: readonly string[]): Float64Array {
  const counts = characterNgrams(answer);
  let best = new Float64Array(ORDERS * PER_ORDER);
  let bestScore = -1;
  for (const reference of references) {
    const known = characterNgrams(reference);
    const found = new Float64Array(ORDERS * PER_ORDER);
    for (let order = 0; order < ORDERS; order++) {
      const ofAnswer = counts[order] ?? new Map<string, number>();
      const ofReference = known[order] ?? new Map<string, number>();
      const total = totalCount(ofReference);
      // Where the reference is too short for the order, the answer's n-grams are no mistakes.
      found[PER_ORDER * order] = total === 0 ? 0 : totalCount(ofAnswer);
      found[PER_ORDER * order + 1] = total;
      found[PER_ORDER * order + 2] = sharedCount(ofAnswer, ofReference);
    }
    const score = chrfOf(found);
    if (score > bestScore) {
      bestScore = score;
      best = found;
    }
  }
  return best;
}

/** F-score of the precision and recall averaged over the orders that both sides have; 0 to 100. */
function chrfOf(sums: Float64Array): number {
  let precision = 0;
  let recall = 0;
  let orders = 0;
  for (let order = 0; order < ORDERS; order++) {
    const [ofAnswer = 0, ofReference = 0, matches = 0] = sums.subarray(PER_ORDER * order, PER_ORDER * (order + 1));
    if (ofAnswer === 0 || ofReference === 0) continue;
    precision += matches / ofAnswer;
    recall += matches / ofReference;
    orders += 1;
  }
  if (precision + recall === 0) return 0;
  precision /= orders;
  recall /= orders;
  return (100 * (1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall);
}

/**
 * chrF (Popović 2015) as sacrebleu computes it by default: six orders of characters, no words, beta 2, white space left
 * out, the best reference per sample. Samples score their sentence chrF; the set its corpus chrF.
 */
export const chrf: AdditiveMetric = {
  name: "chrf",
  higherIsBetter: true,
  unit: "points of 100",
  perSample: (answer, references) => chrfOf(statistics(answer, references)),
  corpus: (answers, references) => {
    const sums = new Float64Array(ORDERS * PER_ORDER);
    for (const [index, answer] of answers.entries()) {
      for (const [field, value] of statistics(answer, references[index] ?? []).entries()) {
        sums[field] = (sums[field] ?? 0) + value;
      }
    }
    return chrfOf(sums);
  },
  statistics,
  fromStatistics: chrfOf,
};
