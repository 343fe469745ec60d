import { UsageError } from "../errors.js";
import { excerpt } from "./escape-text.js";

/**
 * The training text of Stanford Alpaca in the wording that alpaca-lora, Axolotl and Unsloth train with (a newline after
 * "### Response:"); the answer follows directly.
 */
const ALPACA_WITH_INPUT =
  "Below is an instruction that describes a task, paired with an input that provides further context. " +
  "Write a response that appropriately completes the request.\n\n" +
  "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n";
const ALPACA_WITHOUT_INPUT =
  "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
  "### Instruction:\n{instruction}\n\n### Response:\n";

/** Turns an Alpaca row into the prompt it was trained with. */
export interface PromptTemplate {
  /** Whether the text has a place for `input`. */
  readonly takesInput: boolean;
  fill(instruction: string, input: string): string;
}

/** In one pass, so that braces in the user's own text stay as they are. */
function fillIn(template: string, instruction: string, input: string): string {
  return template.replace(/\{(instruction|input)\}/g, (_, name) => (name === "input" ? input : instruction));
}

/**
 * @param source `"alpaca"`, or a text with `{instruction}` and, where rows have one, `{input}`
 * @throws UsageError
 */
export function promptTemplate(source: string): PromptTemplate {
  if (source === "alpaca") {
    return {
      takesInput: true,
      fill: (instruction, input) => fillIn(input === "" ? ALPACA_WITHOUT_INPUT : ALPACA_WITH_INPUT, instruction, input),
    };
  }
  if (!source.includes("{instruction}") || source.includes("{output}")) {
    throw new UsageError(
      "SAMPLES_OPTION",
      `Expected "alpaca" or a text with {instruction} (and {input}) and without {output}, which follows it, for \`promptTemplate\` but received "${excerpt(source)}".`,
    );
  }
  return {
    takesInput: source.includes("{input}"),
    fill: (instruction, input) => fillIn(source, instruction, input),
  };
}
