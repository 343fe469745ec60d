/** One tokenised sample: prompt and completion in one sequence. */
export interface Sample {
  /** Token ids, BOS included where the model wants one. */
  readonly tokens: Int32Array;
  /**
   * 1 where the token is scored, that is predicted from those before it; same length as `tokens`.
   * `scored[0]` is always 0: nothing predicts the first token.
   */
  readonly scored: Uint8Array;
  /** Samples of one group are drawn together in the bootstrap; equal to the sample's own index where no group was given. */
  readonly group: string;
  /** Where it came from: 1-based line in a JSONL file, 1-based index in an array. */
  readonly line: number;
  /** What metrics of answers need; absent in samples made by hand. */
  readonly source?: SampleSource;
  /** Of a row with choices: all of them; the sample itself is the right one. */
  readonly choices?: SampleChoices;
}

/** The same prompt with each of its choices behind it. */
export interface SampleChoices {
  /** In the order of the row. */
  readonly options: readonly Sample[];
  /** Characters (code points) of each choice. */
  readonly characters: readonly number[];
  /** Index of the right one. */
  readonly right: number;
}

export interface SampleSource {
  /** The row as given, the user's own fields included. */
  readonly row: Readonly<Record<string, unknown>>;
  /** The text that a model should write there: the completion, or the last assistant turn. Null in rows of plain text. */
  readonly answer: string | null;
}

/** How many of a sample's tokens are scored. */
export function scoredCount({ scored }: Pick<Sample, "scored">): number {
  return scored.reduce((count, mark) => count + mark, 0);
}

/** A checked, tokenised data set and the facts a result file records of it. */
export interface SampleSet {
  readonly samples: readonly Sample[];
  /** File path, or null for rows given in memory. */
  readonly path: string | null;
  /** sha256 of the file's bytes, or of the rows as JSON. */
  readonly sha256: string;
  readonly scoredTokens: number;
  /** Tokens that are computed but not scored. */
  readonly promptTokens: number;
  readonly groups: number;
  /** How conversations became text; null where no row was a conversation. */
  readonly template: {
    readonly source: "model" | "file" | "name";
    readonly sha256: string;
    readonly variables: Readonly<Record<string, unknown>>;
    readonly date: string;
  } | null;
  /** Things the user should know that are not errors: duplicates, truncated samples, a straddling token. */
  readonly notices: readonly string[];
  readonly seed: number;
}

/** Some samples of a set, by index, as if they were all. */
export function someOf(set: SampleSet, indices: readonly number[]): SampleSet {
  const samples = indices.flatMap((index) => set.samples[index] ?? []);
  const tokens = samples.reduce((sum, sample) => sum + sample.tokens.length, 0);
  const scoredTokens = samples.reduce((sum, sample) => sum + scoredCount(sample), 0);
  const groups = new Set(samples.map(({ group }) => group)).size;
  return { ...set, samples, scoredTokens, promptTokens: tokens - scoredTokens, groups };
}
