import { InputError } from "../errors.js";
import { ChatTemplate, TemplateFailure } from "./chat-template.js";
import { describe, isRecord, readTurns, type Message } from "./conversation.js";
import { excerpt } from "./escape-text.js";
import { chatTemplateNames } from "./named-templates.js";
import { checkOptions, type CheckedOptions, type ReadSamplesOptions } from "./options.js";
import { rowError, type Origin } from "./origin.js";
import { readRows } from "./read-rows.js";
import { TokenTable } from "./token-table.js";
import type { Tokenizer } from "./tokenizer.js";

/** Rendered and tokenised as samples are. */
export type ReadPromptsOptions = Pick<
  ReadSamplesOptions,
  "chatTemplate" | "templateVariables" | "templateDate" | "promptTemplate" | "signal"
> & {
  /** Give rows with a `prompt` to the chat template too, as what the user says. Default false: the model goes on with the text. */
  readonly chat?: boolean | undefined;
};

/** One tokenised prompt. */
export interface ReadPrompt {
  /** Token ids, BOS included where the model wants one. */
  readonly tokens: Int32Array;
  /** As the model sees it. */
  readonly text: string;
  /** 1-based line in a JSONL file, 1-based index in an array. */
  readonly line: number;
}

/**
 * Reads prompts: rows with `prompt`; `messages` or `conversations`, up to the last turn that is not the assistant's;
 * `instruction` (+ `input`). Files of samples will do: answers in them are not looked at.
 *
 * @param source path of a JSONL file or of a JSON array, or rows in memory
 * @throws UsageError for a wrong option; InputError naming file and line for what is wrong in the data; CancelledError
 */
export async function readPrompts(
  source: string | readonly unknown[],
  tokenizer: Tokenizer,
  { chat = false, ...options }: ReadPromptsOptions = {},
): Promise<readonly ReadPrompt[]> {
  const checked = checkOptions(options, tokenizer);
  const table = new TokenTable(tokenizer);
  const prompts: ReadPrompt[] = [];
  let template: ChatTemplate | null = null;
  const { origin } = await readRows(
    source,
    (row, line, at) => {
      const turns = parsePrompt(row, chat, checked, at, line);
      if (typeof turns === "string") {
        prompts.push({ tokens: tokensOf(turns, tokenizer, false), text: turns, line });
        return;
      }
      template ??= compile(checked, table, at, line);
      const text = render(template, turns, at, line);
      prompts.push({ tokens: tokensOf(text, tokenizer, true), text, line });
    },
    options.signal,
  );
  if (prompts.length === 0) {
    throw new InputError(
      "PROMPTS_EMPTY",
      `Expected at least one prompt in ${origin.path ?? "the given array"} but received none.`,
      { details: { file: origin.path } },
    );
  }
  return prompts;
}

/** Text that the model goes on with, or turns that the assistant answers. */
function parsePrompt(
  row: unknown,
  chat: boolean,
  { promptTemplate }: CheckedOptions,
  origin: Origin,
  line: number,
): string | readonly Message[] {
  if (!isRecord(row)) {
    throw rowError(
      "SAMPLES_BAD_LINE",
      origin,
      line,
      `Expected an object with \`prompt\`, \`messages\` or \`instruction\` but received ${describe(row)}.`,
    );
  }
  const text = (field: string): string => {
    const value = row[field];
    if (typeof value === "string") return value;
    throw rowError(
      "SAMPLES_BAD_ROW",
      origin,
      line,
      `Expected a string for \`${field}\` but received ${describe(value)}.`,
    );
  };
  const said = (content: string): readonly Message[] => [{ role: "user", content }];
  if (row["prompt"] !== undefined) return chat ? said(text("prompt")) : text("prompt");
  for (const form of ["messages", "conversations"] as const) {
    if (row[form] !== undefined) return asked(readTurns(row, form, origin, line), form, origin, line);
  }
  const instruction = text("instruction");
  const input = row["input"] === undefined || row["input"] === null ? "" : text("input");
  if (promptTemplate !== null) return promptTemplate.fill(instruction, input);
  return said(input === "" ? instruction : `${instruction}\n\n${input}`);
}

/** Without the answer that a sample ends with. */
function asked(turns: readonly Message[], form: string, origin: Origin, line: number): readonly Message[] {
  const last = turns.findLastIndex(({ role }) => role !== "assistant");
  if (last >= 0) return turns.slice(0, last + 1);
  throw rowError(
    "SAMPLES_BAD_ROW",
    origin,
    line,
    `No turn of \`${form}\` is the user's, so there is nothing to answer.`,
  );
}

function compile(options: CheckedOptions, table: TokenTable, origin: Origin, line: number): ChatTemplate {
  const { chatTemplate, templateVariables, templateDate } = options;
  const { tokenizer } = table;
  const source = chatTemplate?.source ?? tokenizer.chatTemplate;
  if (source === null) {
    throw rowError(
      "SAMPLES_NEED_TEMPLATE",
      origin,
      line,
      `The prompt needs a chat template but the model has none. Give \`chatTemplate\`: a template file or one of ${chatTemplateNames.join(", ")}.`,
    );
  }
  return new ChatTemplate(source, {
    origin: chatTemplate?.origin ?? "model",
    name: chatTemplate?.name ?? "of the model",
    bosText: table.text(tokenizer.bos),
    eosText: table.text(tokenizer.eos),
    variables: templateVariables,
    date: templateDate,
  });
}

function render(template: ChatTemplate, turns: readonly Message[], origin: Origin, line: number): string {
  try {
    return template.render(turns, true);
  } catch (cause) {
    if (!(cause instanceof TemplateFailure)) throw cause;
    const message = `${excerpt(cause.message, 400)}. (chat template: ${template.options.name})`;
    throw rowError("TEMPLATE_FAILED", origin, line, message, { cause });
  }
}

/** Control tokens are read as such only where a template wrote them. */
function tokensOf(text: string, tokenizer: Tokenizer, templated: boolean): Int32Array {
  const tokens = tokenizer.tokenize(text, { parseSpecial: templated });
  const { bos, addBos } = tokenizer;
  return addBos && bos !== null && tokens[0] !== bos ? Int32Array.from([bos, ...tokens]) : tokens;
}
