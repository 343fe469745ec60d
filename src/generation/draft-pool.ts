/** More tokens in common make no better draft, and bound what a look-up costs. */
const LONGEST_MATCH = 16;
/**
 * A token that led by less (nats) is left for the candidate to choose, which costs no more than verifying it: where neighbours
 * write alike so far, almost every difference between them begins at such a token. Measured on SmolLM2-135M, E2E, boundaries 30
 * to 24: 128 of 138 differences began at the 10 % of tokens below 0.4, and none above 0.9.
 */
const LEAST_LEAD = 0.4;
/** Where texts only met again, what comes next is less certain. */
const LEAST_LEAD_ELSEWHERE = 1;

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
        const least = match === LONGEST_MATCH ? LEAST_LEAD : LEAST_LEAD_ELSEWHERE;
        const doubt = leads.findIndex((lead, index) => index >= at && lead < least);
        best = tokens.subarray(at, Math.min(at + length, doubt === -1 ? tokens.length : doubt));
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
