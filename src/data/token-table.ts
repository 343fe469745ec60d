import type { Tokenizer } from "./tokenizer.js";

/** A tokenizer's answers about single tokens, asked once each: they are needed for every token of every sample. */
export class TokenTable {
  readonly tokenizer: Tokenizer;
  readonly #bytes = new Map<number, Uint8Array>();
  readonly #control = new Map<number, boolean>();
  readonly #controlEnds = new Map<string, number>();

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  bytes(token: number): Uint8Array {
    let bytes = this.#bytes.get(token);
    if (bytes === undefined) {
      bytes = this.tokenizer.tokenBytes(token);
      this.#bytes.set(token, bytes);
    }
    return bytes;
  }

  /** The token as text; "" for null. */
  text(token: number | null): string {
    return token === null ? "" : Buffer.from(this.bytes(token)).toString("utf8");
  }

  isControl(token: number): boolean {
    let control = this.#control.get(token);
    if (control === undefined) {
      control = this.tokenizer.isControl(token);
      this.#control.set(token, control);
    }
    return control;
  }

  /**
   * Where the first control token in a text ends (the model's EOS and end of turn count as such, however they are
   * flagged); 0 where there is none. Asked of what follows a turn, which is the same text for most samples.
   */
  controlEnd(text: string): number {
    let end = this.#controlEnds.get(text);
    if (end === undefined) {
      end = this.#findControlEnd(text);
      this.#controlEnds.set(text, end);
    }
    return end;
  }

  #findControlEnd(text: string): number {
    const { eot, eos } = this.tokenizer;
    for (const token of this.tokenizer.tokenize(text, { parseSpecial: true })) {
      if (token !== eot && token !== eos && !this.isControl(token)) continue;
      const spelled = this.text(token);
      const at = spelled === "" ? -1 : text.indexOf(spelled);
      return at === -1 ? 0 : at + spelled.length;
    }
    return 0;
  }
}
