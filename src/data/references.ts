import { InputError } from "../errors.js";
import { describe } from "./conversation.js";
import { place, type Origin } from "./origin.js";
import type { Row } from "./rows.js";
import type { Sample, SampleSet } from "./sample.js";

/** The text that a model should write; null where a row says only that it is text. */
export function answerOf(row: Row): string | null {
  switch (row.form) {
    case "completion":
      return row.completion;
    case "alpaca":
      return row.output;
    case "conversation":
      return row.messages.findLast(({ role }) => role === "assistant")?.content ?? null;
    case "text":
      return null;
  }
}

/** A sample that answers can be compared with. */
export interface ReferencedSample extends Sample {
  readonly source: NonNullable<Sample["source"]>;
  /** At least one; several are alternatives. */
  readonly references: readonly string[];
}

/**
 * Samples with their references: the row's own list `references` (or one text), else the completion or the last assistant
 * turn. The field is read only here, so that a file whose `references` mean something else still calibrates by NLL.
 *
 * @throws InputError SAMPLES_NO_REFERENCES, SAMPLES_BAD_REFERENCES with file and line
 */
export function withReferences({ samples, path }: Pick<SampleSet, "samples" | "path">): readonly ReferencedSample[] {
  const origin: Origin = { path, unit: path === null ? "row" : "line" };
  return samples.map((sample) => {
    const { source, line } = sample;
    const given = source?.row["references"];
    if (source !== undefined && given !== undefined && given !== null) {
      return { ...sample, source, references: listOf(given, origin, line) };
    }
    if (source?.answer != null) return { ...sample, source, references: [source.answer] };
    throw new InputError(
      "SAMPLES_NO_REFERENCES",
      `${place(origin, line)}: Expected \`references\`, a \`completion\` or an assistant turn to compare answers with but received none. Add \`"references": ["..."]\` to the row, or leave it out.`,
      { details: { file: path, line } },
    );
  });
}

function listOf(given: unknown, origin: Origin, line: number): readonly string[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const isText = (reference: unknown) => typeof reference === "string" && reference.trim() !== "";
  if (list.length > 0 && list.every(isText)) return list as readonly string[];
  const wrong = list.find((reference) => !isText(reference));
  const received = list.length === 0 ? "an empty list" : typeof wrong === "string" ? "an empty text" : describe(wrong);
  throw new InputError(
    "SAMPLES_BAD_REFERENCES",
    `${place(origin, line)}: Expected texts for \`references\` but received ${received}.`,
    { details: { file: origin.path, line } },
  );
}
