import { UsageError } from "../errors.js";
import { checkTemplateVariables, DEFAULT_TEMPLATE_DATE } from "./chat-template.js";
import { excerpt } from "./escape-text.js";
import { chatTemplateNames, namedTemplate } from "./named-templates.js";
import { promptTemplate, type PromptTemplate } from "./prompt-template.js";
import { parseDate } from "./strftime.js";
import type { Tokenizer } from "./tokenizer.js";
import type { ScoredTurns } from "./turn-spans.js";

export interface ReadSamplesOptions {
  /** Pick this many rows at random (same seed, same rows), in file order; all where there are fewer. Default: all. */
  readonly limit?: number | undefined;
  /** For `limit`; an integer from 0 to 2^32 - 1. Default 0. */
  readonly seed?: number | undefined;
  /** Longer samples are left out with a notice. Default: the context the model was trained with. */
  readonly maxTokens?: number | undefined;
  /** In conversations, score the last assistant turn (default) or every one. */
  readonly score?: ScoredTurns | undefined;
  /** Append the model's EOS token to rows that do not go through a chat template, and score it. Default false. */
  readonly eos?: boolean | undefined;
  /** A named template (`chatTemplateNames`), or a Jinja source with the name of its file. Default: the model's own. */
  readonly chatTemplate?: string | { readonly source: string; readonly name?: string | undefined } | undefined;
  /** Passed to the chat template, for example `{ "enable_thinking": false }`. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** The day that templates print as today, `YYYY-MM-DD`. Default 2024-07-26. */
  readonly templateDate?: string | undefined;
  /** For Alpaca rows: `"alpaca"` or a text with `{instruction}` and `{input}`. Default: they go through the chat template. */
  readonly promptTemplate?: string | undefined;
  /** Take rows that have only a `prompt`; all of it is scored, as of a `text`. For the objective `kl`. Default false. */
  readonly promptOnly?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The options, checked, with every default filled in. */
export interface CheckedOptions {
  readonly limit: number;
  readonly seed: number;
  readonly maxTokens: number;
  readonly score: ScoredTurns;
  readonly eos: boolean;
  readonly chatTemplate: { readonly source: string; readonly name: string; readonly origin: "file" | "name" } | null;
  readonly templateVariables: Readonly<Record<string, unknown>>;
  readonly templateDate: string;
  readonly promptTemplate: PromptTemplate | null;
  readonly promptOnly: boolean;
  readonly signal: AbortSignal | undefined;
}

const KNOWN = new Set([
  "limit",
  "seed",
  "maxTokens",
  "score",
  "eos",
  "chatTemplate",
  "templateVariables",
  "templateDate",
  "promptTemplate",
  "promptOnly",
  "signal",
]);

function wrong(option: string, expected: string, received: unknown): UsageError {
  const shown = typeof received === "string" ? `"${excerpt(received, 40)}"` : excerpt(String(received), 40);
  return new UsageError("SAMPLES_OPTION", `Expected ${expected} for \`${option}\` but received ${shown}.`, {
    details: { option },
  });
}

function integer(option: string, value: number | undefined, low: number, high: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw wrong(option, `an integer from ${low} to ${high}`, value);
  }
  return value;
}

function chosenTemplate(choice: ReadSamplesOptions["chatTemplate"]): CheckedOptions["chatTemplate"] {
  if (choice === undefined) return null;
  if (typeof choice === "string") {
    const source = namedTemplate(choice);
    if (source === null) {
      throw wrong("chatTemplate", `one of ${chatTemplateNames.join(", ")}, or a template file,`, choice);
    }
    return { source, name: choice, origin: "name" };
  }
  if (typeof choice.source !== "string" || choice.source === "") {
    throw wrong("chatTemplate.source", "a Jinja template", choice.source);
  }
  return { source: choice.source, name: choice.name ?? "given as text", origin: "file" };
}

/** @throws UsageError for an unknown option or a value out of range */
export function checkOptions(options: ReadSamplesOptions, tokenizer: Tokenizer): CheckedOptions {
  const unknown = Object.keys(options).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw wrong("options", `only ${[...KNOWN].join(", ")}`, unknown);
  // A model whose metadata names no context sets no limit of its own.
  const context = tokenizer.trainedContext > 0 ? tokenizer.trainedContext : Infinity;
  const { score = "last", eos = false, templateDate = DEFAULT_TEMPLATE_DATE } = options;
  if (!["last", "all"].includes(score)) throw wrong("score", '"last" or "all"', score);
  if (typeof eos !== "boolean") throw wrong("eos", "true or false", eos);
  if (eos && tokenizer.eos === null) {
    throw new UsageError("SAMPLES_OPTION", "`eos` appends the model's EOS token, but this model has none.");
  }
  if (typeof templateDate !== "string" || parseDate(templateDate) === null) {
    throw wrong("templateDate", "a date as YYYY-MM-DD", templateDate);
  }
  return {
    limit: integer("limit", options.limit, 1, 2 ** 32 - 1, Infinity),
    seed: integer("seed", options.seed, 0, 2 ** 32 - 1, 0),
    maxTokens: integer("maxTokens", options.maxTokens, 2, 2 ** 31 - 1, context),
    score,
    eos,
    chatTemplate: chosenTemplate(options.chatTemplate),
    templateVariables: checkTemplateVariables(options.templateVariables ?? {}),
    templateDate,
    promptTemplate: options.promptTemplate === undefined ? null : promptTemplate(options.promptTemplate),
    promptOnly: options.promptOnly ?? false,
    signal: options.signal,
  };
}
