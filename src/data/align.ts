import type { TokenTable } from "./token-table.js";

/** Where each token lies in the text: bytes `starts[i]` .. `ends[i]` - 1; equal where a token carries none of them. */
export interface TokenOffsets {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const SPACE = 0x20;
/** Alternatives kept per token; more means that tokens and text have little in common. */
const MAX_STATES = 64;

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** Whether `bytes` from `from` on stand in `text` at `at`. */
function standsAt(bytes: Uint8Array, from: number, text: Uint8Array, at: number): boolean {
  if (at + bytes.length - from > text.length) return false;
  for (let index = from; index < bytes.length; index++) {
    if (bytes[index] !== text[at + index - from]) return false;
  }
  return true;
}

/** The usual case: the tokens' bytes, one after the other, are the text. */
function alignExactly(tokens: Int32Array, text: Uint8Array, table: TokenTable): TokenOffsets | null {
  const starts = new Int32Array(tokens.length);
  const ends = new Int32Array(tokens.length);
  let at = 0;
  for (const [index, token] of tokens.entries()) {
    const bytes = table.bytes(token);
    if (!standsAt(bytes, 0, text, at)) return null;
    starts[index] = at;
    at += bytes.length;
    ends[index] = at;
  }
  return at === text.length ? { starts, ends } : null;
}

interface Path {
  readonly start: number;
  readonly end: number;
  /** Spaces that the tokenizer added or left out so far; the path with the fewest wins. */
  readonly cost: number;
  readonly from: Path | null;
}

/** The ways on from one path over one token: as it stands, after white space left out, without a space put in front. */
function* steps(path: Path, bytes: Uint8Array, insertionCost: number, text: Uint8Array): Generator<Path> {
  for (let skip = 0; skip < MAX_STATES; skip++) {
    const start = path.end + skip;
    if (standsAt(bytes, 0, text, start)) {
      yield { start, end: start + bytes.length, cost: path.cost + skip, from: path };
    }
    if (bytes[0] === SPACE && standsAt(bytes, 1, text, start)) {
      yield { start, end: start + bytes.length - 1, cost: path.cost + skip + insertionCost, from: path };
    }
    if (!isWhiteSpace(text[start])) return;
  }
}

/**
 * SPM tokenizers put a space in front of the text and after each control token; some control tokens swallow the white
 * space beside them. Everything but white space must still match byte by byte, so a token is never placed wrongly.
 */
function alignLoosely(tokens: Int32Array, text: Uint8Array, table: TokenTable): TokenOffsets | null {
  let paths: Path[] = [{ start: 0, end: 0, cost: 0, from: null }];
  let afterBorder = true;
  for (const token of tokens) {
    const best = new Map<number, Path>();
    // A space put in anywhere but at the start or after a control token is possible (user-defined tokens) but less likely.
    const insertionCost = afterBorder ? 1 : 2;
    for (const path of paths) {
      for (const next of steps(path, table.bytes(token), insertionCost, text)) {
        const known = best.get(next.end);
        if (known === undefined || next.cost < known.cost) best.set(next.end, next);
      }
    }
    if (best.size === 0 || best.size > MAX_STATES) return null;
    paths = [...best.values()].sort((a, b) => a.end - b.end); // on a tie the earlier insertion wins
    afterBorder = table.isControl(token);
  }
  const complete = paths
    .filter((path) => text.subarray(path.end).every(isWhiteSpace))
    .sort((a, b) => a.cost + text.length - a.end - (b.cost + text.length - b.end));
  const starts = new Int32Array(tokens.length);
  const ends = new Int32Array(tokens.length);
  let path: Path | null = complete[0] ?? null;
  if (path === null) return null;
  for (let index = tokens.length - 1; index >= 0 && path !== null; index--) {
    starts[index] = path.start;
    ends[index] = path.end;
    path = path.from;
  }
  return { starts, ends };
}

/**
 * Places tokens in the text they came from.
 * @returns null where they do not spell the text (a tokenizer that normalises it), so that nothing is misaligned silently
 */
export function alignTokens(tokens: Int32Array, text: Uint8Array, table: TokenTable): TokenOffsets | null {
  return alignExactly(tokens, text, table) ?? alignLoosely(tokens, text, table);
}
