import { Option, type Command } from "commander";
import type { ReadSamplesOptions } from "../data/options.js";
import { integer } from "./numbers.js";
import { chatTemplate, templateVariables } from "./template-flags.js";

/** How a samples file is read; beside these, `--seed`. */
export interface SampleFlags {
  readonly seed?: number;
  readonly limit?: number;
  readonly maxTokens?: number;
  readonly score: "last" | "all";
  readonly eos?: true;
  readonly chatTemplate?: string;
  readonly templateVars?: string;
  readonly templateDate?: string;
  readonly promptTemplate?: string;
}

export function addSampleOptions(command: Command): Command {
  return command
    .optionsGroup("Samples:")
    .option("--limit <n>", "use n samples, picked at random by --seed", integer)
    .option("--max-tokens <n>", "leave out longer samples (default: the model's context)", integer)
    .addOption(
      new Option("--score <turns>", "of conversations: the last assistant turn, or all")
        .choices(["last", "all"])
        .default("last"),
    )
    .option("--eos", "append and score the end-of-sequence token, where no chat template does")
    .option("--chat-template <file|name>", "instead of the model's own")
    .option("--template-vars <json>", "variables for the chat template")
    .option("--template-date <date>", "today's date for the chat template, YYYY-MM-DD (fixed by default)")
    .option("--prompt-template <text|alpaca>", "for instruction + output, with {instruction} and {input}");
}

/** @throws InputError TEMPLATE_UNREADABLE, UsageError TEMPLATE_VARS */
export async function readingOptions(flags: SampleFlags): Promise<ReadSamplesOptions> {
  const { limit, seed, maxTokens, score, eos, templateDate, promptTemplate } = flags;
  return {
    ...{ limit, seed, maxTokens, score, eos, templateDate, promptTemplate },
    chatTemplate: await chatTemplate(flags.chatTemplate),
    templateVariables: templateVariables(flags.templateVars),
  };
}
