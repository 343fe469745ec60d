import { describe, isRecord, readConversation, type Message } from "./conversation.js";
import { excerpt } from "./escape-text.js";
import { rowError, type Origin } from "./origin.js";

type Fields = Readonly<Record<string, unknown>>;

/** One checked row, before any template or tokenizer. */
export type Row = {
  /** 1-based line or row number. */
  readonly line: number;
  /** The user's `group` as text, or null. */
  readonly group: string | null;
  /** The row as given, the user's own fields included. */
  readonly fields: Fields;
} & (
  | { readonly form: "completion"; readonly prompt: string; readonly completion: string }
  | { readonly form: "conversation"; readonly messages: readonly Message[] }
  | { readonly form: "alpaca"; readonly instruction: string; readonly input: string; readonly output: string }
  | { readonly form: "text"; readonly text: string }
);

/** The fields that make a form; a row has a form when it has all of them. Other fields are the user's own and ignored. */
const FORMS = [
  ["prompt", "completion"],
  ["messages"],
  ["conversations"],
  ["instruction", "output"],
  ["text"],
] as const satisfies readonly (readonly string[])[];

const ACCEPTED = FORMS.map((fields) => fields.map((field) => `\`${field}\``).join(" + ")).join(", or ");

function has(row: Fields, field: string): boolean {
  return Object.hasOwn(row, field) && row[field] !== undefined;
}

function readGroup(row: Fields, origin: Origin, line: number): string | null {
  const group = row["group"];
  if (group === undefined || group === null) return null;
  if ((typeof group === "string" && group !== "") || (typeof group === "number" && Number.isFinite(group))) {
    return String(group);
  }
  const received = group === "" ? "an empty string" : describe(group);
  throw rowError(
    "SAMPLES_BAD_ROW",
    origin,
    line,
    `Expected a string or a number for \`group\` but received ${received}.`,
  );
}

function readText(row: Fields, field: string, origin: Origin, line: number): string {
  const value = row[field];
  if (typeof value === "string") return value;
  const hint = Array.isArray(value) ? " Give a conversation as `messages`." : "";
  throw rowError(
    "SAMPLES_BAD_ROW",
    origin,
    line,
    `Expected a string for \`${field}\` but received ${describe(value)}.${hint}`,
  );
}

function readScoredText(row: Fields, field: string, origin: Origin, line: number): string {
  const text = readText(row, field, origin, line);
  if (text === "") {
    throw rowError(
      "SAMPLES_EMPTY_COMPLETION",
      origin,
      line,
      `\`${field}\` is empty, so there is nothing to score. Fill it in or leave the row out.`,
    );
  }
  return text;
}

/**
 * Finds a row's form and checks its fields.
 * @throws InputError naming file and line: not an object, no form, two forms, a field of the wrong type, an empty completion
 */
export function parseRow(value: unknown, origin: Origin, line: number): Row {
  if (!isRecord(value)) {
    throw rowError(
      "SAMPLES_BAD_LINE",
      origin,
      line,
      `Expected an object with ${ACCEPTED} but received ${describe(value)}.`,
    );
  }
  const forms = FORMS.filter((fields) => fields.every((field) => has(value, field)));
  const form = forms[0];
  if (form === undefined) {
    const found = Object.keys(value).map((key) => `\`${excerpt(key, 30)}\``);
    const listed = found.length === 0 ? "none" : found.slice(0, 10).join(", ") + (found.length > 10 ? ", ..." : "");
    throw rowError(
      "SAMPLES_UNKNOWN_FORM",
      origin,
      line,
      `Expected a row with ${ACCEPTED} but received the fields ${listed}.`,
      { details: { fields: Object.keys(value).slice(0, 100) } },
    );
  }
  if (forms.length > 1) {
    const names = forms.map((fields) => fields.map((field) => `\`${field}\``).join(" + ")).join(" and ");
    throw rowError("SAMPLES_TWO_FORMS", origin, line, `The row fits two forms, ${names}. Keep the fields of one.`);
  }
  const base = { line, group: readGroup(value, origin, line), fields: value };
  switch (form[0]) {
    case "prompt":
      return {
        ...base,
        form: "completion",
        prompt: readText(value, "prompt", origin, line),
        completion: readScoredText(value, "completion", origin, line),
      };
    case "messages":
    case "conversations":
      return { ...base, form: "conversation", messages: readConversation(value, form[0], origin, line) };
    case "instruction":
      return {
        ...base,
        form: "alpaca",
        instruction: readText(value, "instruction", origin, line),
        input: value["input"] === undefined || value["input"] === null ? "" : readText(value, "input", origin, line),
        output: readScoredText(value, "output", origin, line),
      };
    case "text":
      return { ...base, form: "text", text: readScoredText(value, "text", origin, line) };
  }
}
