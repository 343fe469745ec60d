import { AnswerText } from "../generation/answer-text.js";
import type { Answer, Finish } from "../generation/types.js";

/** One row's choice, as the addon tells it. */
export interface Choice {
  readonly token: number;
  readonly runnerUp: number;
  readonly margin: number;
  /** The token ends the text. */
  readonly ends: boolean;
}

/** An answer while it is written, in a slot of the generator. */
export class WritingAnswer {
  /** Index of the prompt. */
  readonly prompt: number;
  readonly slot: number;
  readonly written: number[] = [];
  /** Tokens of prompt and answer that the slot's memory holds. */
  fed = 0;
  readonly #tokens: Int32Array;
  readonly #most: number;
  readonly #text: AnswerText;
  readonly #spell: (token: number) => Uint8Array;
  readonly #margins: number[] = [];
  readonly #runnersUp: number[] = [];
  #finish: Finish | null = null;

  /**
   * @param tokens of the prompt
   * @param most tokens of the answer
   * @param spell bytes of a token in the text
   */
  constructor(
    { prompt, slot }: { readonly prompt: number; readonly slot: number },
    tokens: Int32Array,
    most: number,
    stop: readonly string[],
    spell: (token: number) => Uint8Array,
  ) {
    this.prompt = prompt;
    this.slot = slot;
    this.#tokens = tokens;
    this.#most = most;
    this.#text = new AnswerText(stop);
    this.#spell = spell;
  }

  get finished(): boolean {
    return this.#finish !== null;
  }

  /** Tokens that may still be written. */
  get room(): number {
    return this.#most - this.written.length;
  }

  /** Tokens to be fed before the next one can be chosen: of the prompt, or the one written last. */
  get waiting(): number {
    return this.#tokens.length + this.written.length - this.fed;
  }

  /** The next `count` of those. */
  next(count: number): Int32Array {
    const { fed } = this;
    const prompt = this.#tokens.subarray(fed, fed + count);
    const from = Math.max(0, fed - this.#tokens.length);
    return Int32Array.from([...prompt, ...this.written.slice(from, from + count - prompt.length)]);
  }

  /** @returns text that is certain now */
  push({ token, runnerUp, margin, ends }: Choice): string {
    this.written.push(token);
    this.#margins.push(margin);
    this.#runnersUp.push(runnerUp);
    const text = ends ? "" : this.#text.push(this.#spell(token));
    if (ends) this.#finish = "end";
    else if (this.#text.stopped) this.#finish = "stop";
    else if (this.room === 0) this.#finish = "length";
    return this.finished ? text + this.#text.end() : text;
  }

  answer(): Answer {
    return {
      text: this.#text.text,
      tokens: Int32Array.from(this.written),
      margins: Float32Array.from(this.#margins),
      runnersUp: Int32Array.from(this.#runnersUp),
      finish: this.#finish ?? "length",
    };
  }
}
