/** More tokens in common make no better draft, and bound what a look-up costs. */
const LONGEST_MATCH = 16;

/**
 * What may come next in an answer, guessed from its prompt and the answers written to it before: candidates write much
 * the same, and often meet again behind a difference.
 */
export class DraftPool {
  readonly #prompt: Int32Array;
  /** Newest last. */
  readonly #answers: Int32Array[] = [];

  constructor(prompt: Int32Array) {
    this.#prompt = prompt;
  }

  get answers(): number {
    return this.#answers.length;
  }

  /** @param answer its tokens, the one that ends it included */
  add(answer: Int32Array): void {
    this.#answers.push(answer);
  }

  /**
   * The text behind the place that has most tokens in common with the end of what was written, the newest such place.
   *
   * @param written the answer so far
   * @returns at most `length` tokens, none where nothing is alike
   */
  propose(written: readonly number[], length: number): Int32Array {
    let longest = 0;
    let best: Int32Array = new Int32Array();
    const look = (source: Int32Array, inAnswer: boolean) => {
      for (let at = source.length - 1; at >= (inAnswer ? 0 : 1); at--) {
        const match = this.#match(source, at, inAnswer, written);
        if (match <= longest) continue;
        longest = match;
        best = source.subarray(at, at + length);
        if (longest === LONGEST_MATCH) return;
      }
    };
    for (let index = this.#answers.length - 1; index >= 0 && longest < LONGEST_MATCH; index--) {
      look(this.#answers[index] ?? new Int32Array(), true);
    }
    if (longest < LONGEST_MATCH) look(this.#prompt, false);
    return best;
  }

  /** Tokens before `at` that are the last ones written; an answer follows its prompt, as what is written does. */
  #match(source: Int32Array, at: number, inAnswer: boolean, written: readonly number[]): number {
    const prompt = this.#prompt;
    const before = (tokens: ArrayLike<number>, index: number, hasPrompt: boolean) =>
      index >= 0 ? tokens[index] : hasPrompt ? prompt[prompt.length + index] : undefined;
    let match = 0;
    while (match < LONGEST_MATCH) {
      const here = before(source, at - 1 - match, inAnswer);
      if (here === undefined || here !== before(written, written.length - 1 - match, true)) break;
      match += 1;
    }
    return match;
  }
}
