/** More tokens in common make no better draft, and bound what a look-up costs. */
const LONGEST_MATCH = 16;
/**
 * How often the next candidate wrote the same token, by how many tokens before it both had in common (rows: from 1, 2, 4, 8 and 16
 * on) and by how much it led (columns: from 0, 0.25, 0.5, 1, 2, 4 and 8 nats on). Seen on SmolLM2-135M, E2E, all boundaries in turn
 * (`npm run bench -- draft-chances`).
 */
const CHANCES = [
  [0.2, 0.31, 0.35, 0.46, 0.49, 0.32, 0.4],
  [0.34, 0.46, 0.68, 0.71, 0.76, 0.77, 0.9],
  [0.44, 0.55, 0.64, 0.74, 0.83, 0.86, 0.97],
  [0.46, 0.72, 0.81, 0.89, 0.87, 0.88, 0.97],
  [0.68, 0.91, 0.97, 0.986, 0.991, 0.992, 0.999],
] as const;
/** Where the second and later rows and columns of such a table begin. */
export const COMMON = [2, 4, 8, LONGEST_MATCH];
export const LEADS = [0.25, 0.5, 1, 2, 4, 8];
/** Tokens of another prompt's answer tell as much as this many fewer of this one's. */
const LESS_OF_OTHERS = 1;
/** Below this lead, in nats, the next candidate often writes something else. */
const UNCERTAIN = 0.5;

/** An answer that drafts are taken from. */
export interface PooledAnswer {
  /** The one that ends it included. */
  readonly tokens: Int32Array;
  /** Per token: by how much its logit was above the second. */
  readonly leads: Float32Array;
}

/** Where an answer may go on as another one does. */
export interface Continuation {
  readonly tokens: Int32Array;
  /** Per token, as in the answer that it is from. */
  readonly leads: Float32Array;
  /** Tokens before it that both have in common, of another prompt's answer less than that; at most 16. */
  readonly common: number;
}

/** How much may be proposed. */
export interface DraftLimits {
  /** Tokens at most. */
  readonly most: number;
  /** A token is proposed while it and all before it are right with this chance at least. */
  readonly leastChance: number;
}

/**
 * What may come next in an answer, guessed from the answers written to its prompt before, and from what the same candidate wrote
 * to others: candidates write much the same, and often meet again behind a difference.
 */
export class DraftPool {
  readonly #prompt: Int32Array;
  /** Newest last. */
  readonly #answers: PooledAnswer[] = [];

  constructor(prompt: Int32Array) {
    this.#prompt = prompt;
  }

  /** Places at which drafts of the next answer will be wrong, about; 0: there is no answer yet. */
  get expectedMisses(): number {
    return this.#answers.at(-1)?.leads.filter((lead) => lead < UNCERTAIN).length ?? 0;
  }

  add(answer: PooledAnswer): void {
    this.#answers.push(answer);
  }

  /**
   * The text behind the place that has most tokens in common with the end of what was written, the newest such place, as far as
   * it was certain.
   *
   * @param written the answer so far
   * @param others what the same candidate wrote to other prompts, newest last
   * @returns no token where nothing is alike
   */
  propose(written: readonly number[], { most, leastChance }: DraftLimits, others: readonly PooledAnswer[]): Int32Array {
    const { tokens, leads, common } = this.continuation(written, others);
    return tokens.subarray(0, likelyEnd(leads, Math.min(most, tokens.length), common, leastChance));
  }

  /** All of that text, certain or not. */
  continuation(written: readonly number[], others: readonly PooledAnswer[]): Continuation {
    let longest: Continuation = NOTHING;
    const last = written.at(-1);
    const search = (answers: readonly PooledAnswer[], prompt: Int32Array | null) => {
      for (let index = answers.length - 1; index >= 0 && longest.common < LONGEST_MATCH; index--) {
        const { tokens, leads } = answers[index] ?? NOTHING;
        for (let at = tokens.length - 1; at >= 0 && longest.common < LONGEST_MATCH; at--) {
          if (at > 0 && last !== undefined && tokens[at - 1] !== last) continue;
          const common = commonTokens(tokens, at, written, prompt) - (prompt === null ? LESS_OF_OTHERS : 0);
          if (common > longest.common) longest = { tokens: tokens.subarray(at), leads: leads.subarray(at), common };
        }
      }
    };
    search(this.#answers, this.#prompt);
    search(others, null);
    return longest;
  }
}

const NOTHING: Continuation = { tokens: new Int32Array(), leads: new Float32Array(), common: 0 };

/**
 * Tokens of an answer before `at` that are the last ones written.
 *
 * @param prompt that both follow; null: they follow different ones
 */
function commonTokens(answer: Int32Array, at: number, written: readonly number[], prompt: Int32Array | null): number {
  const before = (tokens: ArrayLike<number>, index: number) =>
    index >= 0 ? tokens[index] : prompt?.[prompt.length + index];
  for (let common = 0; common < LONGEST_MATCH; common++) {
    const here = before(answer, at - 1 - common);
    if (here !== before(written, written.length - 1 - common)) return common;
    // The same text from its beginning on, or of two prompts all that there is.
    if (here === undefined) return prompt === null ? common : LONGEST_MATCH;
  }
  return LONGEST_MATCH;
}

/** Where tokens of a continuation, before which `common` tokens are alike, are no longer likely to be all right. */
function likelyEnd(leads: Float32Array, to: number, common: number, leastChance: number): number {
  let chance = 1;
  for (let at = 0; at < to; at++) {
    const alike = common === LONGEST_MATCH ? common : common + at;
    chance *= CHANCES[band(COMMON, alike)]?.[band(LEADS, leads[at] ?? 0)] ?? 0;
    if (chance < leastChance) return at;
  }
  return to;
}

/** Row or column of such a table: how many of the ascending `bounds` a value reaches. */
export function band(bounds: readonly number[], value: number): number {
  const above = bounds.findIndex((bound) => !(value >= bound));
  return above === -1 ? bounds.length : above;
}
