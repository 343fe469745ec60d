/** How a view may draw. Nothing here looks at the terminal: the caller knows it. */
export interface RenderOptions {
  /** Columns, at least 20; no line is longer, but for a command that cannot be broken. */
  readonly width: number;
  /** ANSI colours; the caller decides by terminal and `NO_COLOR`. Default false. */
  readonly color?: boolean;
  /** Box and block characters; false draws in ASCII. Default true. */
  readonly unicode?: boolean;
  /** Whose shell the printed commands are for. Default `posix`. */
  readonly shell?: "posix" | "windows";
}

export const NARROWEST = 20;

export interface Style {
  readonly width: number;
  readonly color: boolean;
  readonly unicode: boolean;
  readonly shell: "posix" | "windows";
}

export function styleOf({ width, color = false, unicode = true, shell = "posix" }: RenderOptions): Style {
  return { width: Math.max(NARROWEST, Math.floor(width)), color, unicode, shell };
}

const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Tint = keyof typeof SGR;

export function tinted(text: string, tint: Tint, { color }: Style): string {
  return color ? `\u001b[${SGR[tint]}m${text}\u001b[0m` : text;
}

// Control characters move the cursor or forge lines; bidirectional overrides make a text read as another;
// lone surrogates have no encoding; other format characters are invisible.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Foreign text (paths, names, notices) made harmless for a terminal: `\x1b` in place of the character. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 256) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const COMBINING = /^[\p{Mn}\p{Me}]+$/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

/** Columns that a terminal gives one code point: East Asian wide characters and pictographs take two (UAX 11). */
function columnsOf(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ||
    /\p{Extended_Pictographic}/u.test(character) ||
    (character.codePointAt(0) ?? 0) > 0x1f000
    ? 2
    : 1;
}

/** Columns of a text without control characters or colours. */
export function displayWidth(text: string): number {
  let columns = 0;
  for (const character of text) columns += columnsOf(character);
  return columns;
}

/** The first code points that fit into `columns`, and the rest. */
function splitAt(text: string, columns: number): [head: string, tail: string] {
  let used = 0;
  let length = 0;
  for (const character of text) {
    used += columnsOf(character);
    // One code point at least, or a narrow column would never end.
    if (used > columns && length > 0) break;
    length += character.length;
  }
  return [text.slice(0, length), text.slice(length)];
}

/** Cut to `columns`, with a mark where something is missing. */
export function clipped(text: string, columns: number, { unicode }: Style): string {
  if (displayWidth(text) <= columns) return text;
  const mark = unicode ? "\u2026" : "~";
  if (columns <= 1) return mark.slice(0, columns);
  const [head] = splitAt(text, columns - 1);
  return (displayWidth(head) < columns ? head : "") + mark;
}

export function padded(text: string, columns: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, columns - displayWidth(text)));
  return align === "left" ? text + space : space + text;
}

/** Prose in lines of at most `width` columns; words too long for a line are broken. */
export function wrapped(text: string, width: number, indent = ""): string[] {
  const room = Math.max(1, width - displayWidth(indent));
  const lines: string[] = [];
  let line = "";
  for (let word of printable(text)
    .split(" ")
    .filter((part) => part !== "")) {
    if (line !== "" && displayWidth(line) + 1 + displayWidth(word) <= room) {
      line += ` ${word}`;
      continue;
    }
    if (line !== "") lines.push(line);
    while (displayWidth(word) > room) {
      const [head, tail] = splitAt(word, room);
      lines.push(head);
      word = tail;
    }
    line = word;
  }
  if (line !== "") lines.push(line);
  return lines.map((it) => indent + it);
}
