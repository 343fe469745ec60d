import { rowError, type Origin } from "./origin.js";

export type Role = "system" | "user" | "assistant";

/** One turn. Further text fields (`name`, `reasoning_content`) reach the chat template as they are. */
export interface Message {
  readonly role: Role;
  readonly content: string;
  readonly [field: string]: string;
}

/** A conversation longer than this is a broken file, not a dialogue; it also bounds what a template loops over. */
const MAX_MESSAGES = 10_000;

const OPENAI_ROLES: ReadonlyMap<string, Role> = new Map([
  ["system", "system"],
  ["user", "user"],
  ["assistant", "assistant"],
]);

const SHAREGPT_ROLES: ReadonlyMap<string, Role> = new Map([
  ...OPENAI_ROLES,
  ["human", "user"] as const,
  ["gpt", "assistant"] as const,
]);

/** Fields that change what the model is shown and that no text-only render can honour. */
const TOOL_FIELDS = ["tool_calls", "function_call", "tool_call_id"];

interface Shape {
  readonly field: "messages" | "conversations";
  readonly roleKey: "role" | "from";
  readonly contentKey: "content" | "value";
  readonly roles: ReadonlyMap<string, Role>;
}

const SHAPES = {
  messages: { field: "messages", roleKey: "role", contentKey: "content", roles: OPENAI_ROLES },
  conversations: { field: "conversations", roleKey: "from", contentKey: "value", roles: SHAREGPT_ROLES },
} satisfies Record<string, Shape>;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a value is, in words, for "but received ...". */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0) && value !== "";
}

function readMessage(value: unknown, index: number, shape: Shape, origin: Origin, line: number): Message {
  const { field, roleKey, contentKey, roles } = shape;
  const name = `${field}[${index}]`;
  if (!isRecord(value)) {
    throw rowError(
      "SAMPLES_BAD_ROW",
      origin,
      line,
      `Expected an object with \`${roleKey}\` and \`${contentKey}\` for \`${name}\` but received ${describe(value)}.`,
    );
  }
  const rawRole = value[roleKey];
  const role = typeof rawRole === "string" ? roles.get(rawRole) : undefined;
  if (role === undefined) {
    const received = typeof rawRole === "string" ? JSON.stringify(rawRole.slice(0, 40)) : describe(rawRole);
    throw rowError(
      "SAMPLES_BAD_ROLE",
      origin,
      line,
      `Expected one of ${[...roles.keys()].join(", ")} for \`${name}.${roleKey}\` but received ${received}.`,
    );
  }
  const tool = TOOL_FIELDS.find((key) => given(value[key]));
  if (tool !== undefined) {
    throw rowError(
      "SAMPLES_UNSUPPORTED_CONTENT",
      origin,
      line,
      `\`${name}.${tool}\` is a tool call, which is not supported. Leave this row out, or give its rendered text as \`prompt\` and \`completion\`.`,
    );
  }
  const content = value[contentKey];
  if (typeof content !== "string") {
    const hint = Array.isArray(content)
      ? " Content parts (images, several texts) are not supported; join the text."
      : "";
    throw rowError(
      Array.isArray(content) ? "SAMPLES_UNSUPPORTED_CONTENT" : "SAMPLES_BAD_ROW",
      origin,
      line,
      `Expected a string for \`${name}.${contentKey}\` but received ${describe(content)}.${hint}`,
    );
  }
  const extra = Object.entries(value).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === "string" && entry[0] !== roleKey && entry[0] !== contentKey,
  );
  return { ...Object.fromEntries(extra), role, content };
}

/**
 * Checks the turns of one row, whoever has the last word.
 * @throws InputError for a role outside the form's, a tool call or a content array
 */
export function readTurns(
  row: Readonly<Record<string, unknown>>,
  form: "messages" | "conversations",
  origin: Origin,
  line: number,
): Message[] {
  const value = row[form];
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_MESSAGES) {
    const received = Array.isArray(value) ? `${value.length}` : describe(value);
    throw rowError(
      "SAMPLES_BAD_ROW",
      origin,
      line,
      `Expected 1 to ${MAX_MESSAGES} turns in an array for \`${form}\` but received ${received}.`,
    );
  }
  // Both change the rendered prompt in the tools that write them, so ignoring them would score another prompt.
  if (given(row["tools"])) {
    throw rowError("SAMPLES_UNSUPPORTED_CONTENT", origin, line, "`tools` (tool definitions) are not supported.");
  }
  if (given(row["system"])) {
    throw rowError(
      "SAMPLES_UNSUPPORTED_CONTENT",
      origin,
      line,
      `A \`system\` field beside \`${form}\` is not read. Put it into \`${form}\` as the first turn.`,
    );
  }
  const shape = SHAPES[form];
  return value.map((message: unknown, index) => readMessage(message, index, shape, origin, line));
}

/**
 * Checks the turns of one row whose last assistant turn is scored.
 * @throws InputError as `readTurns`, and for no assistant turn or an empty one
 */
export function readConversation(
  row: Readonly<Record<string, unknown>>,
  form: "messages" | "conversations",
  origin: Origin,
  line: number,
): Message[] {
  const messages = readTurns(row, form, origin, line);
  const last = messages.findLast((message) => message.role === "assistant");
  if (last === undefined) {
    throw rowError(
      "SAMPLES_NO_ASSISTANT",
      origin,
      line,
      `No turn of \`${form}\` is the assistant's, so nothing could be scored. Add the answer as the last turn.`,
    );
  }
  if (last.content.trim() === "") {
    throw rowError("SAMPLES_EMPTY_COMPLETION", origin, line, "The last assistant turn is empty; nothing to score.");
  }
  return messages;
}
