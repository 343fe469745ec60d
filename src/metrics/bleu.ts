import type { AdditiveMetric } from "./metric.js";
import { countNgrams, largestCounts, sharedCount } from "./ngrams.js";
import { splitSpaces, withoutLastSpaces } from "./python-text.js";

// No npm library agrees with sacrebleu: those there are take one reference, split at spaces, or smooth otherwise.

const ORDERS = 4;
/** Layout of the statistics: answer length, reference length, matches of 4 orders, n-grams of 4 orders. */
const MATCHES = 2;
const TOTALS = MATCHES + ORDERS;
const STATISTICS = TOTALS + ORDERS;

/** The steps of mteval-v13a for western languages, in their order. */
const STEPS: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/gu, " $1 "],
  [/([^0-9])([.,])/gu, "$1 $2 "],
  [/([.,])([^0-9])/gu, " $1 $2"],
  [/([0-9])(-)/gu, "$1 $2 "],
];

const ENTITIES: readonly (readonly [string, string])[] = [
  ["&quot;", '"'],
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
];

/** The tokenizer `13a` of sacrebleu and of WMT's scoring. */
export function tokenize13a(text: string): string[] {
  let line = withoutLastSpaces(text).replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  for (const [entity, character] of ENTITIES) line = line.replaceAll(entity, character);
  line = ` ${line} `;
  for (const [pattern, replacement] of STEPS) line = line.replace(pattern, replacement);
  return splitSpaces(line);
}

function statistics(answer: string, references: readonly string[]): Float64Array {
  const tokens = tokenize13a(answer);
  const referenceTokens = references.map(tokenize13a);
  const counts = countNgrams(tokens, ORDERS, " ");
  const known = largestCounts(
    referenceTokens.map((it) => countNgrams(it, ORDERS, " ")),
    ORDERS,
  );
  const result = new Float64Array(STATISTICS);
  result[0] = tokens.length;
  result[1] = closestLength(
    tokens.length,
    referenceTokens.map(({ length }) => length),
  );
  for (let order = 0; order < ORDERS; order++) {
    result[MATCHES + order] = sharedCount(counts[order] ?? new Map(), known[order] ?? new Map());
    result[TOTALS + order] = Math.max(0, tokens.length - order);
  }
  return result;
}

/** The reference length nearest to the answer's; of two equally near the shorter. */
function closestLength(length: number, others: readonly number[]): number {
  const [first = 0, ...rest] = others;
  return rest.reduce((best, other) => {
    const nearer = Math.abs(length - other) - Math.abs(length - best);
    return nearer < 0 || (nearer === 0 && other < best) ? other : best;
  }, first);
}

/**
 * @param effectiveOrder take only the orders that the answer is long enough for, as for single sentences
 * @returns 0 to 100, smoothed by `exp`: the k-th order without a match counts as 1 / 2^k matches
 */
function bleuOf(sums: Float64Array, effectiveOrder: boolean): number {
  const [length = 0, referenceLength = 0] = sums;
  const matches = sums.subarray(MATCHES, TOTALS);
  if (matches.every((count) => count === 0)) return 0;
  let smoothing = 1;
  let logs = 0;
  let orders = 0;
  for (const [order, count] of matches.entries()) {
    const total = sums[TOTALS + order] ?? 0;
    if (total === 0) break;
    if (count === 0) smoothing *= 2;
    logs += Math.log((count === 0 ? 1 / smoothing : count) / total);
    orders += 1;
  }
  // An order without any n-gram has precision 0, and so has their geometric mean.
  if (!effectiveOrder && orders < ORDERS) return 0;
  const penalty = length < referenceLength ? Math.exp(1 - referenceLength / length) : 1;
  return 100 * penalty * Math.exp(logs / orders);
}

/**
 * BLEU (Papineni et al. 2002) as sacrebleu computes it by default: tokenizer 13a, four orders, smoothing `exp`, closest
 * reference length. Samples score their sentence BLEU with effective order (sacrebleu's `sentence_bleu`); the set its
 * corpus BLEU, which is no mean of sentences.
 */
export const bleu: AdditiveMetric = {
  name: "bleu",
  higherIsBetter: true,
  unit: "points of 100",
  perSample: (answer, references) => bleuOf(statistics(answer, references), true),
  corpus: (answers, references) => {
    const sums = new Float64Array(STATISTICS);
    for (const [index, answer] of answers.entries()) {
      for (const [field, value] of statistics(answer, references[index] ?? []).entries()) {
        sums[field] = (sums[field] ?? 0) + value;
      }
    }
    return bleuOf(sums, false);
  },
  statistics,
  fromStatistics: (sums) => bleuOf(sums, false),
};
