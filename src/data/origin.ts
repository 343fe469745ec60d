import { InputError } from "../errors.js";

/** Where rows come from, for messages: a JSONL file counts lines, an array (file or memory) counts rows, both from 1. */
export interface Origin {
  readonly path: string | null;
  readonly unit: "line" | "row";
}

/** "samples.jsonl, line 3", or "row 3" for rows in memory. */
export function place(origin: Origin, line: number): string {
  const position = `${origin.unit} ${line}`;
  return origin.path === null ? position : `${origin.path}, ${position}`;
}

/** "samples.jsonl, lines 3, 7 and 12 more", from 1-based positions in file order. */
export function places(origin: Origin, lines: readonly number[], shown = 5): string {
  const first = lines.slice(0, shown).join(", ");
  const more = lines.length > shown ? ` and ${lines.length - shown} more` : "";
  const position = `${origin.unit}${lines.length === 1 ? "" : "s"} ${first}${more}`;
  return origin.path === null ? position : `${origin.path}, ${position}`;
}

/** An error of one row; the message starts with file and line, and both are in `details`. */
export function rowError(
  code: string,
  origin: Origin,
  line: number,
  message: string,
  options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, unknown>> } = {},
): InputError {
  return new InputError(code, `${place(origin, line)}: ${message}`, {
    ...(options.cause === undefined ? {} : { cause: options.cause }),
    details: { file: origin.path, line, ...options.details },
  });
}
