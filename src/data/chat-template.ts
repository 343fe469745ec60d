import { createHash } from "node:crypto";
import { InputError, UsageError } from "../errors.js";
import type { Message } from "./conversation.js";
import { excerpt } from "./escape-text.js";
import { parseTemplate, runTemplate, type JinjaProgram } from "./jinja.js";
import { parseDate, strftime } from "./strftime.js";

/**
 * The day that templates see when they ask for today's date: the day that Llama 3's own template names where it is
 * given none. Fixed, because a template that prints the date would change every score overnight.
 */
export const DEFAULT_TEMPLATE_DATE = "2024-07-26";

/** Real templates are under 30 KB; the parser's regular expressions are not linear in white space. */
const MAX_TEMPLATE_CHARS = 256 * 2 ** 10;
/** Bounds what `range()` in a template can allocate. */
const MAX_RANGE = 100_000;

/** Names a template gets from us; `templateVariables` must not replace them. */
const RESERVED = new Set([
  "messages",
  "add_generation_prompt",
  "bos_token",
  "eos_token",
  "raise_exception",
  "strftime_now",
  "range",
  "namespace",
  "tools",
  "true",
  "false",
  "none",
  "True",
  "False",
  "None",
]);

/** A template refused or failed on some messages. The caller knows the line and makes it an InputError. */
export class TemplateFailure extends Error {}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.ceil((to - from) / step);
  if (Number.isNaN(count) || count > MAX_RANGE) throw new Error(`range() gives at most ${MAX_RANGE} numbers`);
  return Array.from({ length: Math.max(0, count) }, (_, index) => from + index * step);
}

/** Checks `templateVariables`: plain JSON, none of the names above. */
export function checkTemplateVariables(variables: unknown): Readonly<Record<string, unknown>> {
  let json: string | undefined;
  try {
    json = JSON.stringify(variables);
  } catch {
    json = undefined; // a cycle or a BigInt: refused below with the rest
  }
  if (json?.startsWith("{") !== true) {
    throw new UsageError(
      "SAMPLES_OPTION",
      "Expected a JSON object for `templateVariables` but received another value.",
    );
  }
  const copy = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const taken = Object.keys(copy).find((name) => RESERVED.has(name));
  if (taken !== undefined) {
    throw new UsageError(
      "SAMPLES_OPTION",
      `Expected other names than ${[...RESERVED].slice(0, 9).join(", ")} in \`templateVariables\` but received \`${taken}\`.`,
    );
  }
  return copy;
}

export interface ChatTemplateOptions {
  readonly origin: "model" | "file" | "name";
  /** For messages: the file's path or the template's name. */
  readonly name: string;
  readonly bosText: string;
  readonly eosText: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** `YYYY-MM-DD` */
  readonly date: string;
}

/**
 * A compiled chat template with the variables that Hugging Face templates expect: `messages`, `add_generation_prompt`,
 * `bos_token`, `eos_token`, `raise_exception`, `strftime_now` (with a fixed clock), `tools` and `documents` none.
 */
export class ChatTemplate {
  readonly sha256: string;
  readonly options: ChatTemplateOptions;
  readonly #program: JinjaProgram;
  readonly #date: Date;

  /** @throws InputError where the source is not a template */
  constructor(source: string, options: ChatTemplateOptions) {
    this.options = options;
    this.sha256 = createHash("sha256").update(source, "utf8").digest("hex");
    const date = parseDate(options.date);
    if (date === null) {
      throw new UsageError(
        "SAMPLES_OPTION",
        `Expected a date as YYYY-MM-DD for \`templateDate\` but received "${excerpt(options.date, 20)}".`,
      );
    }
    this.#date = date;
    if (source.length > MAX_TEMPLATE_CHARS) {
      throw this.#bad(`it has ${source.length} characters, more than ${MAX_TEMPLATE_CHARS}`);
    }
    try {
      this.#program = parseTemplate(source);
    } catch (cause) {
      throw this.#bad(excerpt(cause instanceof Error ? cause.message : String(cause), 300), cause);
    }
  }

  #bad(reason: string, cause?: unknown): InputError {
    const { name, origin } = this.options;
    return new InputError(
      "TEMPLATE_SYNTAX",
      `The chat template ${name} is not a valid template: ${reason}. Give another with \`chatTemplate\`.`,
      { cause, details: { template: name, origin } },
    );
  }

  /**
   * @param addGenerationPrompt end with what opens the assistant's next turn
   * @throws TemplateFailure with the template's own message
   */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    const { variables, bosText, eosText } = this.options;
    const globals: Readonly<Record<string, unknown>> = {
      documents: null,
      ...variables,
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range,
      raise_exception: (message: unknown) => {
        throw new TemplateFailure(`the template refuses the conversation: ${String(message)}`);
      },
      strftime_now: (format: string) => strftime(this.#date, format),
      messages,
      tools: null,
      add_generation_prompt: addGenerationPrompt,
      bos_token: bosText,
      eos_token: eosText,
    };
    try {
      const value = runTemplate(this.#program, globals);
      if (typeof value !== "string") throw new TemplateFailure("the template gave no text");
      return value;
    } catch (cause) {
      if (cause instanceof TemplateFailure) throw cause;
      throw new TemplateFailure(`the template failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
  }
}
