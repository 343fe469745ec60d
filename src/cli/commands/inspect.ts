import type { Command } from "commander";
import { localPathOf } from "../../hub/local-path.js";
import { compareFiles } from "../../lora/compare-files.js";
import { describeFile } from "../../lora/describe.js";
import { renderComparison } from "../../report/compare-files.js";
import { renderDescription } from "../../report/describe-file.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";

interface InspectFlags {
  readonly force?: true;
  readonly json?: string;
}

const EXAMPLES = examples(
  ["inspect adapter.gguf", "Layers, ranks, alpha and origin of an adapter"],
  ["inspect base.gguf --json -", "A base model, for a program"],
  ["inspect adapter.gguf small.gguf", "What differs between two files"],
);

export function configure(command: Command): void {
  command
    .description(
      "Show what is in a GGUF file, adapter or base model: reads the header only, so it is quick at any size. With two files: " +
        "what differs between them, every byte of their tensors read.",
    )
    .argument("<file>", "GGUF file; of a split model the first part")
    .argument("[other]", "GGUF file to compare it with")
    .option("--force", "let --json write over an existing file")
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLES);
}

export async function run([path = "", other]: readonly string[], flags: InspectFlags, context: CommandContext) {
  const json = {
    target: flags.json,
    inputs: other === undefined ? [path] : [path, other],
    force: flags.force ?? false,
  };
  await requireJsonTarget(json);
  if (other !== undefined) {
    const first = await localPathOf(path, downloading(context));
    const second = await localPathOf(other, downloading(context));
    context.progress.done();
    const difference = await compareFiles(first, second, { signal: context.signal });
    const comparison = { schema: "lora-boundary/compare@1", ...difference };
    await deliver(comparison, () => renderComparison(difference, context.style), json, context);
    return 0;
  }
  const local = await localPathOf(path, downloading(context));
  context.progress.done();
  const file = await describeFile(local);
  const result = { schema: "lora-boundary/inspect@1", file };
  await deliver(result, () => renderDescription(file, context.style), json, context);
  return 0;
}
