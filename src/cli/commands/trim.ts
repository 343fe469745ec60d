import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { requireTarget } from "../../gguf/target-file.js";
import { readAdapter } from "../../lora/adapter-file.js";
import { parseKeep } from "../../lora/keep.js";
import { writeAdapter } from "../../lora/trim.js";
import { renderTrim } from "../../report/trim.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";

interface TrimFlags {
  readonly keep?: string;
  readonly output?: string;
  readonly force?: true;
  readonly json?: string;
}

const EXAMPLES = examples(
  ["trim adapter.gguf --keep 0-17 -o small.gguf", "Keep LoRA in the layers 0 to 17"],
  ["trim adapter.gguf --keep 0-3,5,7-9 -o small.gguf", "Keep single layers and ranges"],
  ["trim adapter.gguf --keep 0-17 -o small.gguf --force --json trim.json", "Write over a file, and say so as JSON"],
);

export function configure(command: Command): void {
  command
    .description(
      "Write an adapter that keeps LoRA in some layers only. The others run as in the base model. Needs neither the " +
        "base model nor the addon; the file is read again and compared before it gets its name.",
    )
    .usage("<adapter> --keep <layers> -o <file> [options]")
    .argument("<adapter>", "GGUF LoRA adapter to read")
    .option("--keep <layers>", "layers to keep, counted from 0: 0-17, or 0-3,5,7-9, or all")
    .option("-o, --output <file>", "adapter to write")
    .option("--force", "write over existing files, but never over the adapter that is read")
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLES);
}

export async function run([source = ""]: readonly string[], flags: TrimFlags, context: CommandContext) {
  const { force = false } = flags;
  const { keep, output } = requireFlags(flags);
  const json = { target: flags.json, inputs: [source, output], force };
  const adapter = await readAdapter(source);
  const selection = parseKeep(keep, adapter);
  await requireTarget(output, [source], { force });
  await requireJsonTarget(json);

  const written = await writeAdapter(source, selection, output, { force, signal: context.signal });
  const kept = new Set((await readAdapter(output)).pairs.map(({ name }) => name));
  const droppedOutside = adapter.pairs
    .filter(({ place, name }) => place !== "layer" && !kept.has(name))
    .map(({ name }) => name);
  const view = { written, sourceParameters: adapter.parameters, droppedOutside };
  const result = { schema: "lora-boundary/trim@1", ...written, sourceParameters: adapter.parameters, droppedOutside };
  await deliver(result, () => renderTrim(view, context.style), json, context);
  return 0;
}

/** Asked here and not by the parser, which would call a mistyped option a missing one. */
function requireFlags({ keep, output, json }: TrimFlags) {
  if (keep === undefined) {
    throw flagError(
      "KEEP",
      "keep",
      "Expected layers such as `0-17` for `--keep` but received nothing; add the option.",
    );
  }
  if (output === undefined || output === "" || output === "-") {
    const received = output === "-" ? "`-`, stdout, which cannot be read again and checked" : "nothing";
    throw flagError(
      "OUTPUT",
      "output",
      `Expected a file name for \`--output\` but received ${received}; give a name such as small.gguf.`,
    );
  }
  if (json !== undefined && resolve(json) === resolve(output)) {
    throw flagError(
      "SAME",
      "json",
      `Expected another file than that of \`--output\` for \`--json\` but received ${output} for both; give another name.`,
    );
  }
  return { keep, output };
}

function flagError(code: string, option: string, message: string): UsageError {
  return new UsageError(`TRIM_${code}`, message, { details: { option } });
}
