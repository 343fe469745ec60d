import { readFile } from "node:fs/promises";
import type { ReadSamplesOptions } from "../data/options.js";
import { InputError, UsageError } from "../errors.js";

/** `--chat-template`: a file where there is one of that name, else the name of a template. */
export async function chatTemplate(choice: string | undefined): Promise<ReadSamplesOptions["chatTemplate"]> {
  if (choice === undefined) return undefined;
  try {
    return { source: await readFile(choice, "utf8"), name: choice };
  } catch (cause) {
    if (!/[./\\]/.test(choice)) return choice;
    throw new InputError("TEMPLATE_UNREADABLE", `The chat template ${choice} cannot be read; check the path.`, {
      cause,
    });
  }
}

/** `--template-vars`. */
export function templateVariables(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new UsageError(
      "TEMPLATE_VARS",
      `Expected a JSON object for \`--template-vars\` but received ${text}; write for example '{"enable_thinking": false}'.`,
      { cause, details: { option: "template-vars" } },
    );
  }
}
