/** What reading samples needs of a model. The engine's `Model` is one; tests bring their own. */
export interface Tokenizer {
  /**
   * Token ids of a text.
   * @param options.addSpecial add BOS/EOS as the model's metadata asks (default false)
   * @param options.parseSpecial read control tokens such as `<|im_start|>` in the text as tokens (default false: as plain text)
   */
  tokenize(text: string, options?: { readonly addSpecial?: boolean; readonly parseSpecial?: boolean }): Int32Array;
  /** UTF-8 bytes of each token as it stands in the text; control tokens give their text (`<|im_end|>`). */
  tokenBytes(token: number): Uint8Array;
  /** Whether the token is a control token (BOS, EOS, end of turn, ...). */
  isControl(token: number): boolean;
  /** Id of the beginning-of-sequence token, or null where the model has none. */
  readonly bos: number | null;
  readonly eos: number | null;
  /** Id of the end-of-turn token, or null. */
  readonly eot: number | null;
  /** Whether the model's metadata asks for a BOS before every text. */
  readonly addBos: boolean;
  /** The model's own chat template (Jinja source), or null. */
  readonly chatTemplate: string | null;
  /** Tokens the model was trained to see at once. */
  readonly trainedContext: number;
}
