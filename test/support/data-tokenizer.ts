import type { Tokenizer } from "../../src/data/tokenizer.js";

export interface TestTokenizerOptions {
  /** Control tokens, ids 0, 1, ... in this order. */
  readonly controls?: readonly string[];
  /** Ordinary pieces, ids after the controls and the 256 single bytes. */
  readonly words?: readonly string[];
  readonly bos?: string | null;
  readonly eos?: string | null;
  readonly eot?: string | null;
  readonly addBos?: boolean;
  /** As SPM: a space in front of the text and after each control token. */
  readonly dummyPrefix?: boolean;
  /** As a normalising tokenizer: the text is lower-cased first. */
  readonly lowerCase?: boolean;
  /** Control tokens that swallow the white space after them. */
  readonly stripsAfter?: readonly string[];
  readonly chatTemplate?: string | null;
  readonly trainedContext?: number;
}

/** A small byte-level tokenizer: greedy longest match over its pieces, every single byte a token of its own. */
export class TestTokenizer implements Tokenizer {
  readonly controls: readonly string[];
  readonly words: readonly string[];
  readonly bos: number | null;
  readonly eos: number | null;
  readonly eot: number | null;
  readonly addBos: boolean;
  readonly chatTemplate: string | null;
  readonly trainedContext: number;
  readonly #options: TestTokenizerOptions;

  constructor(options: TestTokenizerOptions = {}) {
    this.#options = options;
    this.controls = options.controls ?? ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];
    this.words = options.words ?? [];
    const id = (text: string | null | undefined) => (text == null ? null : this.id(text));
    this.bos = id(options.bos === undefined ? "<s>" : options.bos);
    this.eos = id(options.eos === undefined ? "</s>" : options.eos);
    this.eot = id(options.eot);
    this.addBos = options.addBos ?? false;
    this.chatTemplate = options.chatTemplate ?? null;
    this.trainedContext = options.trainedContext ?? 4096;
  }

  /** Id of a control token, a word or a single-byte character. */
  id(text: string): number {
    const control = this.controls.indexOf(text);
    if (control !== -1) return control;
    const word = this.words.indexOf(text);
    if (word !== -1) return this.controls.length + 256 + word;
    const bytes = Buffer.from(text);
    if (bytes.length !== 1) throw new Error(`no token for ${JSON.stringify(text)}`);
    return this.controls.length + bytes[0]!;
  }

  ids(...texts: string[]): number[] {
    return texts.map((text) => this.id(text));
  }

  isControl(token: number): boolean {
    return token < this.controls.length;
  }

  tokenBytes(token: number): Uint8Array {
    const control = this.controls[token];
    if (control !== undefined) return Buffer.from(control);
    const byte = token - this.controls.length;
    return byte < 256 ? Uint8Array.of(byte) : Buffer.from(this.words[byte - 256]!);
  }

  #fragment(text: string): number[] {
    const prefixed = (this.#options.dummyPrefix === true ? " " : "") + text;
    const bytes = Buffer.from(this.#options.lowerCase === true ? prefixed.toLowerCase() : prefixed);
    const words = this.words.map((word, index) => ({
      bytes: Buffer.from(word),
      id: this.controls.length + 256 + index,
    }));
    words.sort((a, b) => b.bytes.length - a.bytes.length);
    const tokens: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const word = words.find((entry) => bytes.subarray(at, at + entry.bytes.length).equals(entry.bytes));
      tokens.push(word?.id ?? this.controls.length + bytes[at]!);
      at += word?.bytes.length ?? 1;
    }
    return tokens;
  }

  tokenize(text: string, options: { readonly addSpecial?: boolean; readonly parseSpecial?: boolean } = {}): Int32Array {
    const tokens: number[] = options.addSpecial === true && this.addBos ? [this.bos!] : [];
    let rest = text;
    while (rest !== "") {
      const found =
        options.parseSpecial === true
          ? this.controls
              .map((control, id) => ({ control, id, at: rest.indexOf(control) }))
              .filter(({ at }) => at !== -1)
              .sort((a, b) => a.at - b.at || b.control.length - a.control.length)[0]
          : undefined;
      const raw = found === undefined ? rest : rest.slice(0, found.at);
      if (raw !== "") tokens.push(...this.#fragment(raw));
      if (found === undefined) break;
      tokens.push(found.id);
      rest = rest.slice(found.at + found.control.length);
      if (this.#options.stripsAfter?.includes(found.control) === true) rest = rest.trimStart();
    }
    return Int32Array.from(tokens);
  }
}

/** The text of a sample's scored tokens, one string per token. */
export function scoredTexts(
  sample: { readonly tokens: Int32Array; readonly scored: Uint8Array },
  tokenizer: Tokenizer,
): string[] {
  return Array.from(sample.tokens)
    .filter((_, index) => sample.scored[index] === 1)
    .map((token) => Buffer.from(tokenizer.tokenBytes(token)).toString("utf8"));
}

/** As `scoredTexts`, joined: for byte-by-byte tokens. */
export function scoredText(
  sample: { readonly tokens: Int32Array; readonly scored: Uint8Array },
  tokenizer: Tokenizer,
): string {
  const marked = Array.from(sample.tokens).filter((_, index) => sample.scored[index] === 1);
  return Buffer.concat(marked.map((token) => tokenizer.tokenBytes(token))).toString("utf8");
}

/** All of a sample's text. */
export function wholeText(sample: { readonly tokens: Int32Array }, tokenizer: Tokenizer): string {
  return Buffer.concat(Array.from(sample.tokens, (token) => tokenizer.tokenBytes(token))).toString("utf8");
}
