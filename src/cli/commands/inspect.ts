import type { Command } from "commander";
import { describeFile } from "../../lora/describe.js";
import { renderDescription } from "../../report/describe-file.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";

interface InspectFlags {
  readonly force?: true;
  readonly json?: string;
}

const EXAMPLES = examples(
  ["inspect adapter.gguf", "Layers, ranks, alpha and origin of an adapter"],
  ["inspect base.gguf --json -", "A base model, for a program"],
);

export function configure(command: Command): void {
  command
    .description(
      "Show what is in a GGUF file, adapter or base model. Reads the header only, so it is quick at any size.",
    )
    .argument("<file>", "GGUF file; of a split model the first part")
    .option("--force", "let --json write over an existing file")
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLES);
}

export async function run([path = ""]: readonly string[], flags: InspectFlags, context: CommandContext) {
  const json = { target: flags.json, inputs: [path], force: flags.force ?? false };
  await requireJsonTarget(json);
  const file = await describeFile(path);
  const result = { schema: "lora-boundary/inspect@1", file };
  await deliver(result, () => renderDescription(file, context.style), json, context);
  return 0;
}
