import { InputError } from "../errors.js";
import type { Message } from "./conversation.js";
import { readRows } from "./read-rows.js";
import { parseRow, type Row } from "./rows.js";

/** What a row says, cut: what is scored, and what comes before it. */
export interface SampleText {
  readonly prompt: string;
  readonly completion: string;
}

/** Characters of each part; a page with a dozen of the longest stays small. */
export const MAX_TEXT_CHARACTERS = 600;

/**
 * The texts of some lines of a samples file, as its rows have them, before any template.
 *
 * @param sha256 of the file when it was scored
 * @returns by line; lines that are no rows any more are missing
 * @throws InputError SAMPLES_CHANGED where the file is another one now; SAMPLES_* where it cannot be read
 */
export async function readSampleTexts(
  path: string,
  sha256: string,
  lines: readonly number[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, SampleText>> {
  const wanted = new Set(lines);
  const texts = new Map<number, SampleText>();
  const file = await readRows(
    path,
    (value, line, origin) => {
      if (wanted.has(line)) texts.set(line, textOf(parseRow(value, origin, line)));
    },
    signal,
  );
  if (file.sha256 !== sha256) {
    throw new InputError("SAMPLES_CHANGED", `${path}: the samples have changed since they were scored.`, {
      details: { path, sha256: file.sha256, expected: sha256 },
    });
  }
  return texts;
}

function textOf(row: Row): SampleText {
  switch (row.form) {
    case "completion":
      return cut(row.prompt, row.completion);
    case "alpaca":
      return cut([row.instruction, row.input].filter((part) => part !== "").join("\n"), row.output);
    case "text":
      return cut("", row.text);
    case "conversation":
      return cut(row.messages.slice(0, -1).map(spoken).join("\n"), spoken(row.messages.at(-1)));
  }
}

function spoken(message: Message | undefined): string {
  return message === undefined ? "" : `${message.role}: ${message.content}`;
}

/** Of a prompt the end stays, which leads to the completion; of a completion the start. */
function cut(prompt: string, completion: string): SampleText {
  return {
    prompt: prompt.length > MAX_TEXT_CHARACTERS ? `\u2026${prompt.slice(-MAX_TEXT_CHARACTERS)}` : prompt,
    completion:
      completion.length > MAX_TEXT_CHARACTERS ? `${completion.slice(0, MAX_TEXT_CHARACTERS)}\u2026` : completion,
  };
}
