/** More tokens in common make no better draft, and bound what a look-up costs. */
const LONGEST_MATCH = 16;
/**
 * How often the next candidate wrote the same token, by how many tokens before it both had in common (rows: from 1, 2, 4, 8 and 16
 * on) and by how much it led (columns: from 0, 0.25, 0.5, 1, 2, 4 and 8 nats on). Seen on SmolLM2-135M, E2E, all boundaries in turn.
 */
const CHANCES = [
  [0.4, 0.4, 0.51, 0.62, 0.7, 0.78, 0.83],
  [0.45, 0.59, 0.68, 0.79, 0.85, 0.92, 0.97],
  [0.45, 0.56, 0.69, 0.82, 0.88, 0.94, 0.99],
  [0.52, 0.64, 0.8, 0.85, 0.88, 0.93, 0.99],
  [0.68, 0.92, 0.98, 0.99, 0.997, 0.997, 1],
] as const;
const COMMON = [2, 4, 8, LONGEST_MATCH];
const LEADS = [0.25, 0.5, 1, 2, 4, 8];
/**
 * A token is proposed while it and all before it are right with this chance at least: on a CPU a wrong one costs nearly what a right
 * one saves, since rows cost more than steps.
 */
const LEAST_CHANCE = 0.7;

interface PooledAnswer {
  readonly tokens: Int32Array;
  readonly leads: Float32Array;
}

/**
 * What may come next in an answer, guessed from the answers written to its prompt before: candidates write much the same, and
 * often meet again behind a difference.
 */
export class DraftPool {
  readonly #prompt: Int32Array;
  /** Newest last. */
  readonly #answers: PooledAnswer[] = [];

  constructor(prompt: Int32Array) {
    this.#prompt = prompt;
  }

  /** Tokens of the newest answer: about as many as the next one has; 0: there is none. */
  get expected(): number {
    return this.#answers.at(-1)?.tokens.length ?? 0;
  }

  /**
   * @param answer its tokens, the one that ends it included
   * @param leads per token: by how much its logit was above the second
   */
  add(answer: Int32Array, leads: Float32Array): void {
    this.#answers.push({ tokens: answer, leads });
  }

  /**
   * The text behind the place that has most tokens in common with the end of what was written, the newest such place, as far as
   * it was certain.
   *
   * @param written the answer so far
   * @returns at most `length` tokens, none where nothing is alike
   */
  propose(written: readonly number[], length: number): Int32Array {
    let longest = 0;
    let best: Int32Array = new Int32Array();
    for (const { tokens, leads } of this.#answers.toReversed()) {
      for (let at = tokens.length - 1; at >= 0 && longest < LONGEST_MATCH; at--) {
        const match = this.#match(tokens, at, written);
        if (match <= longest) continue;
        longest = match;
        best = tokens.subarray(at, likelyEnd(leads, at, Math.min(at + length, tokens.length), match));
      }
    }
    return best;
  }

  /** Tokens before `at` that are the last ones written; an answer follows its prompt, as what is written does. */
  #match(answer: Int32Array, at: number, written: readonly number[]): number {
    const prompt = this.#prompt;
    const before = (tokens: ArrayLike<number>, index: number) =>
      index >= 0 ? tokens[index] : prompt[prompt.length + index];
    for (let match = 0; match < LONGEST_MATCH; match++) {
      const here = before(answer, at - 1 - match);
      if (here !== before(written, written.length - 1 - match)) return match;
      // The same text from its beginning on.
      if (here === undefined) break;
    }
    return LONGEST_MATCH;
  }
}

/** Where the tokens from `from` on, before which `match` tokens are in common, are no longer likely to be all right. */
function likelyEnd(leads: Float32Array, from: number, to: number, match: number): number {
  let chance = 1;
  for (let at = from; at < to; at++) {
    const common = match === LONGEST_MATCH ? match : match + at - from;
    const row = CHANCES[COMMON.filter((least) => common >= least).length];
    chance *= row?.[LEADS.filter((least) => (leads[at] ?? 0) >= least).length] ?? 0;
    if (chance < LEAST_CHANCE) return at;
  }
  return to;
}
