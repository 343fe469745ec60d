import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { CancelledError, InputError, UsageError } from "../errors.js";
import { escapeControls, excerpt } from "./escape-text.js";
import { samplesFileKind } from "./file-kind.js";
import { LineSplitter } from "./line-splitter.js";
import { place, rowError, type Origin } from "./origin.js";
import { Pacer } from "./pacer.js";

/** One sample of more bytes is a broken file; bounds the memory that a file without newlines can take. */
export const MAX_LINE_BYTES = 16 * 2 ** 20;
/** A JSON array is parsed in one piece, so its size is bounded; JSONL has no such bound. */
export const MAX_ARRAY_FILE_BYTES = 256 * 2 ** 20;
/** Bad rows counted after the first one, for the message. */
export const MAX_BAD_ROWS_COUNTED = 1000;

const CHUNK_BYTES = 256 * 2 ** 10;

/** Takes one row; throws an InputError where the row is bad. */
export type AcceptRow = (value: unknown, line: number, origin: Origin) => void;

export interface ReadRowsResult {
  readonly origin: Origin;
  /** Of the file's bytes, or of `JSON.stringify(rows)`. */
  readonly sha256: string;
  readonly rows: number;
}

/** Hands rows to `accept`; keeps the first bad one and counts the rest, so that one run tells how bad a file is. */
class RowSink {
  rows = 0;
  #first: InputError | null = null;
  #further = 0;

  constructor(
    readonly origin: Origin,
    private readonly accept: AcceptRow,
  ) {}

  take(line: number, parse: () => unknown): void {
    if (this.#further >= MAX_BAD_ROWS_COUNTED) return;
    this.rows += 1;
    try {
      this.accept(parse(), line, this.origin);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (this.#first === null) this.#first = error;
      else this.#further += 1;
    }
  }

  /** Throws the first bad row, with the number of further ones. */
  finish(): void {
    const first = this.#first;
    if (first === null) return;
    if (this.#further === 0) throw first;
    const capped = this.#further >= MAX_BAD_ROWS_COUNTED;
    const { unit } = this.origin;
    const count = `${capped ? "At least " : ""}${this.#further} more ${unit}${this.#further === 1 ? " is" : "s are"} bad.`;
    throw new InputError(first.code, `${first.message} ${count}`, {
      cause: first,
      details: { ...first.details, furtherBad: this.#further },
    });
  }
}

function decode(bytes: Uint8Array, origin: Origin, line: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw rowError("SAMPLES_BAD_LINE", origin, line, "Expected UTF-8 text but received other bytes.", { cause });
  }
}

/** V8's message without its own excerpt, and the position where it gives one (0-based, UTF-16 units). */
function jsonFault(error: unknown, text: string): { readonly reason: string; readonly position: number | null } {
  const message = error instanceof Error ? error.message : String(error);
  const found = /^(.*?) in JSON at position (\d+)/s.exec(message);
  if (found !== null) return { reason: found[1] ?? "", position: Number(found[2]) };
  if (message.includes("Unexpected end")) return { reason: "Unexpected end of the text", position: text.length };
  const token = /^Unexpected token '(.*?)'/s.exec(message);
  return { reason: token === null ? "not JSON" : token[0], position: null };
}

function parseLine(bytes: Uint8Array, origin: Origin, line: number): unknown {
  const text = decode(bytes, origin, line).replace(/\r$/, "");
  try {
    return JSON.parse(text);
  } catch (cause) {
    const { reason, position } = jsonFault(cause, text);
    const column = position === null ? "" : `, column ${position + 1}`;
    throw rowError(
      "SAMPLES_BAD_LINE",
      origin,
      line,
      `Expected one JSON object per line but this line is not JSON (${escapeControls(reason)}${column}): ${excerpt(text)}`,
      { cause, details: position === null ? {} : { column: position + 1 } },
    );
  }
}

function parseArray(bytes: Uint8Array, path: string): readonly unknown[] {
  const origin = { path, unit: "line" } as const;
  const text = decode(bytes, origin, 1);
  try {
    return JSON.parse(text) as readonly unknown[]; // starts with "[", so it is an array
  } catch (cause) {
    const { reason, position } = jsonFault(cause, text);
    const before = text.slice(0, position ?? 0);
    const line = before.split("\n").length;
    const column = position === null ? null : position - before.lastIndexOf("\n");
    const where = column === null ? path : `${place(origin, line)}, column ${column}`;
    const start =
      column === null ? "" : `: ${excerpt(text.slice(before.lastIndexOf("\n") + 1).split("\n", 1)[0] ?? "")}`;
    throw new InputError(
      "SAMPLES_BAD_LINE",
      `${where}: the JSON array is malformed (${escapeControls(reason)})${start}`,
      { cause, details: { file: path, ...(column === null ? {} : { line, column }) } },
    );
  }
}

/** Fills the buffer as far as the file goes; a pipe may give less than asked at a time. */
async function fill(handle: FileHandle, buffer: Uint8Array): Promise<Uint8Array> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function readFileRows(
  handle: FileHandle,
  path: string,
  accept: AcceptRow,
  signal: AbortSignal | undefined,
): Promise<ReadRowsResult> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(CHUNK_BYTES);
  let chunk = await fill(handle, buffer);
  const { layout, skip } = samplesFileKind(chunk, path);
  const sink = new RowSink({ path, unit: layout === "array" ? "row" : "line" }, accept);
  const splitter = new LineSplitter(
    MAX_LINE_BYTES,
    (bytes, line) => {
      if (!bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) {
        sink.take(line, () => parseLine(bytes, sink.origin, line));
      }
    },
    (line) => {
      throw rowError(
        "SAMPLES_LINE_TOO_LONG",
        sink.origin,
        line,
        `Expected a line of at most ${MAX_LINE_BYTES} bytes but received a longer one. Write one JSON object per line.`,
        { details: { limit: MAX_LINE_BYTES } },
      );
    },
  );
  const whole: Uint8Array[] = [];
  let size = 0;
  for (let first = true; chunk.length > 0; first = false) {
    if (signal?.aborted === true) throw new CancelledError();
    hash.update(chunk);
    size += chunk.length;
    const content = first ? chunk.subarray(skip) : chunk;
    if (layout === "lines") {
      splitter.push(content);
    } else {
      if (size > MAX_ARRAY_FILE_BYTES) {
        throw new InputError(
          "SAMPLES_FILE_TOO_LARGE",
          `Expected a JSON array of at most ${MAX_ARRAY_FILE_BYTES} bytes in ${path} but received a larger one. Write it as JSONL, for example with \`jq -c '.[]'\`.`,
          { details: { file: path, limit: MAX_ARRAY_FILE_BYTES } },
        );
      }
      whole.push(content.slice());
    }
    chunk = await fill(handle, buffer);
  }
  if (layout === "lines") splitter.end();
  else {
    const pacer = new Pacer(signal);
    for (const [index, value] of parseArray(Buffer.concat(whole), path).entries()) {
      sink.take(index + 1, () => value);
      await pacer.pause();
    }
  }
  sink.finish();
  return { origin: sink.origin, sha256: hash.digest("hex"), rows: sink.rows };
}

async function readMemoryRows(
  rows: readonly unknown[],
  accept: AcceptRow,
  signal: AbortSignal | undefined,
): Promise<ReadRowsResult> {
  const pacer = new Pacer(signal);
  const hash = createHash("sha256").update("[");
  const sink = new RowSink({ path: null, unit: "row" }, accept);
  for (const [index, value] of rows.entries()) {
    try {
      // undefined and functions have no JSON; inside an array they are written as null.
      const json = JSON.stringify(value) as string | undefined;
      hash.update((index === 0 ? "" : ",") + (json ?? "null"));
    } catch (cause) {
      throw rowError("SAMPLES_BAD_ROW", sink.origin, index + 1, "Expected plain JSON but received another value.", {
        cause,
      });
    }
    sink.take(index + 1, () => value);
    await pacer.pause();
  }
  sink.finish();
  return { origin: sink.origin, sha256: hash.update("]").digest("hex"), rows: sink.rows };
}

function unreadable(path: string, cause: unknown): InputError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const details = { file: path };
  if (code === "ENOENT") {
    return new InputError("SAMPLES_NOT_FOUND", `Expected a samples file at ${path} but there is none.`, {
      cause,
      details,
    });
  }
  const reason =
    code === "EISDIR"
      ? "it is a folder; give the JSONL file inside it"
      : cause instanceof Error
        ? cause.message
        : String(cause);
  return new InputError("SAMPLES_UNREADABLE", `Cannot read the samples file ${path}: ${reason}.`, { cause, details });
}

/**
 * Reads every row of a file (JSONL streamed line by line, or one JSON array) or of an array in memory.
 * A byte order mark, Windows line ends and blank lines are fine.
 * @throws InputError for a file that cannot be read or is no samples file, and the first bad row with the number of further ones
 * @throws CancelledError
 */
export async function readRows(
  source: string | readonly unknown[],
  accept: AcceptRow,
  signal?: AbortSignal,
): Promise<ReadRowsResult> {
  if (Array.isArray(source)) return await readMemoryRows(source, accept, signal);
  if (typeof source !== "string" || source === "" || source.includes("\0")) {
    throw new UsageError(
      "SAMPLES_OPTION",
      "Expected a file path or an array of rows for `source` but received neither.",
    );
  }
  let handle: FileHandle;
  try {
    handle = await open(source, "r");
  } catch (cause) {
    throw unreadable(source, cause);
  }
  try {
    return await readFileRows(handle, source, accept, signal);
  } catch (error) {
    // A system error (EISDIR, EIO) has an errno; everything else is already one of ours.
    throw error instanceof Error && "errno" in error ? unreadable(source, error) : error;
  } finally {
    await handle.close();
  }
}
