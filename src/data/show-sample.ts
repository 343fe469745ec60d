import { escapeBytes, escapeControls } from "./escape-text.js";
import type { Sample } from "./sample.js";
import { TokenTable } from "./token-table.js";
import type { Tokenizer } from "./tokenizer.js";

export interface ShownToken {
  readonly id: number;
  /** Printable: backslashes doubled, controls and bytes that are no character escaped. */
  readonly text: string;
  readonly scored: boolean;
  /** A control token (BOS, end of turn, ...), not text that looks like one. */
  readonly control: boolean;
}

export interface ShownSample {
  readonly line: number;
  readonly group: string;
  /** What the model is shown, as the tokens spell it; printable, newlines and tabs kept. */
  readonly text: string;
  readonly tokens: readonly ShownToken[];
  readonly scoredTokens: number;
  readonly promptTokens: number;
}

/** One sample as the model sees it, token by token, with the scored ones marked. */
export function renderSample(sample: Sample, tokenizer: Tokenizer): ShownSample {
  const table = new TokenTable(tokenizer);
  const tokens = Array.from(sample.tokens, (id, index) => ({
    id,
    text: escapeBytes(table.bytes(id)),
    scored: sample.scored[index] === 1,
    control: table.isControl(id),
  }));
  const bytes = Buffer.concat(Array.from(sample.tokens, (id) => table.bytes(id)));
  const scoredTokens = tokens.filter(({ scored }) => scored).length;
  return {
    line: sample.line,
    group: sample.group,
    text: escapeControls(bytes.toString("utf8"), "\n\t"),
    tokens,
    scoredTokens,
    promptTokens: tokens.length - scoredTokens,
  };
}
