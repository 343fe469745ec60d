import { bestOf, type Metric } from "./metric.js";
import { countNgrams, sharedCount } from "./ngrams.js";
import { splitSpaces } from "./python-text.js";

/** SQuAD's normalisation: lower case, no ASCII punctuation, no English articles. */
function tokenize(text: string): string[] {
  const plain = text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, "")
    .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ");
  return splitSpaces(plain);
}

/**
 * F1 of the words that answer and reference share (SQuAD, Rajpurkar et al. 2016), the best reference. Where nothing is left
 * of one of them after normalisation: 1 if nothing is left of both, else 0 (SQuAD 2).
 */
export const tokenF1: Metric = {
  name: "f1",
  higherIsBetter: true,
  unit: "of 1",
  perSample: (answer, references) => {
    const tokens = tokenize(answer);
    const [counts = new Map<string, number>()] = countNgrams(tokens, 1, "");
    return bestOf(references, (reference) => {
      const expected = tokenize(reference);
      if (tokens.length === 0 || expected.length === 0) return tokens.length === expected.length ? 1 : 0;
      const [known = new Map<string, number>()] = countNgrams(expected, 1, "");
      return (2 * sharedCount(counts, known)) / (tokens.length + expected.length);
    });
  },
  corpus: null,
};
