import { bestOf, type Metric } from "./metric.js";

// The npm libraries for ROUGE score summaries sentence by sentence with tokenizers of their own and refuse empty texts;
// handed rouge-score's tokenizer, all that would be left for them is the table below.

/** rouge-score's tokenizer: runs of ASCII letters and digits, lower case. */
function tokenize(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((token) => token !== "");
}

/** Length of the longest common subsequence, with one row of the table at a time. */
function commonLength(first: readonly string[], second: readonly string[]): number {
  const row = new Int32Array(second.length + 1);
  for (const token of first) {
    let diagonal = 0;
    for (const [index, other] of second.entries()) {
      const above = row[index + 1] ?? 0;
      row[index + 1] = token === other ? diagonal + 1 : Math.max(above, row[index] ?? 0);
      diagonal = above;
    }
  }
  return row[second.length] ?? 0;
}

/**
 * ROUGE-L (Lin 2004), F-measure, as rouge-score's `rougeL` computes it without a stemmer: the whole text is one sequence.
 * Several references: the best. A text without a letter or digit of ASCII scores 0.
 */
export const rougeL: Metric = {
  name: "rouge-l",
  higherIsBetter: true,
  unit: "of 1",
  perSample: (answer, references) => {
    const tokens = tokenize(answer);
    return bestOf(references, (reference) => {
      const expected = tokenize(reference);
      const both = tokens.length + expected.length;
      return both === 0 ? 0 : (2 * commonLength(tokens, expected)) / both;
    });
  },
  corpus: null,
};
