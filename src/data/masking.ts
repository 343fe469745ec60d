import { alignTokens } from "./align.js";
import type { TokenTable } from "./token-table.js";

/** A part of a text that is scored: UTF-16 offsets, `end` exclusive. Spans are ascending and do not overlap. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface MaskedTokens {
  readonly tokens: Int32Array;
  readonly scored: Uint8Array;
  /** Scored tokens that begin before their span. */
  readonly straddling: number;
  /** As `straddling`, where what lies before the span is more than white space. */
  readonly straddlingText: number;
  /** The tokens do not spell the text, so its parts were tokenised one by one. */
  readonly separate: boolean;
}

function tokeniseParts(text: string, spans: readonly Span[], table: TokenTable, parseSpecial: boolean): MaskedTokens {
  const tokens: number[] = [];
  const scored: number[] = [];
  const add = (part: string, score: 0 | 1) => {
    if (part === "") return;
    for (const token of table.tokenizer.tokenize(part, { parseSpecial })) {
      tokens.push(token);
      scored.push(score);
    }
  };
  let at = 0;
  for (const { start, end } of spans) {
    add(text.slice(at, start), 0);
    add(text.slice(start, end), 1);
    at = end;
  }
  add(text.slice(at), 0);
  return {
    tokens: Int32Array.from(tokens),
    scored: Uint8Array.from(scored),
    straddling: 0,
    straddlingText: 0,
    separate: true,
  };
}

/**
 * Tokenises a text once, as a whole, and marks every token that carries a byte of a span. A token that carries no byte
 * of the text (a space that the tokenizer adds) is marked where it lies inside a span or at its start.
 * BOS and EOS are the caller's.
 */
export function maskText(text: string, spans: readonly Span[], table: TokenTable, parseSpecial: boolean): MaskedTokens {
  const tokens = table.tokenizer.tokenize(text, { parseSpecial });
  const bytes = Buffer.from(text, "utf8");
  const offsets = alignTokens(tokens, bytes, table);
  if (offsets === null) return tokeniseParts(text, spans, table, parseSpecial);

  const scored = new Uint8Array(tokens.length);
  let straddling = 0;
  let straddlingText = 0;
  let index = 0;
  let charsBefore = 0;
  let bytesBefore = 0;
  for (const span of spans) {
    const start = bytesBefore + Buffer.byteLength(text.slice(charsBefore, span.start));
    const end = start + Buffer.byteLength(text.slice(span.start, span.end));
    [charsBefore, bytesBefore] = [span.end, end];
    for (; index < tokens.length; index++) {
      const from = offsets.starts[index] ?? 0;
      const to = offsets.ends[index] ?? 0;
      if (from >= end) break;
      const inside = from === to ? from >= start : to > start;
      if (!inside) continue;
      scored[index] = 1;
      if (from < start) {
        straddling += 1;
        if (bytes.toString("utf8", from, start).trim() !== "") straddlingText += 1;
      }
    }
  }
  return { tokens, scored, straddling, straddlingText, separate: false };
}
