import type { Command } from "commander";
import { renderDoctor } from "../../report/doctor.js";
import type { CommandContext } from "../context.js";
import { findingsOf } from "../doctor-findings.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { list } from "../numbers.js";

interface DoctorFlags {
  readonly force?: true;
  readonly json?: string;
  readonly rpc?: readonly string[];
}

const EXAMPLES = examples(
  ["doctor", "Is this machine ready"],
  ["doctor base.gguf adapter.gguf samples.jsonl", "Would these files work together"],
  ["doctor base.gguf adapter.gguf --json -", "The same for a program"],
);

const EXIT_RULE = `
Without files, doctor exits with 5 if the addon does not load, with --rpc also
if a server cannot be used. With files it
judges the files: 3 if one is bad or they do not fit together, even where the
addon is missing, which it shows as well.`;

export function configure(command: Command): void {
  command
    .description(
      "Check this machine, and whether files would work together: every problem at once, from headers, adapter values " +
        "and sample rows. Loads no model.",
    )
    .argument("[base]", "GGUF base model, or a single file to look at")
    .argument("[adapter]", "GGUF LoRA adapter")
    .argument("[samples]", "samples as JSONL or a JSON array")
    .option("--rpc <host:port,...>", "RPC servers of llama.cpp, whose devices to list", list)
    .option("--force", "let --json write over an existing file")
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLES)
    .addHelpText("after", EXIT_RULE);
}

export async function run(files: readonly string[], flags: DoctorFlags, context: CommandContext) {
  const json = { target: flags.json, inputs: files, force: flags.force ?? false };
  await requireJsonTarget(json);
  const findings = await findingsOf(files, context.signal, flags.rpc);
  await deliver(findings, () => renderDoctor(findings, context.style), json, context);
  if (findings.problems.some(({ place }) => place !== "engine")) return 3;
  return (files.length === 0 || flags.rpc !== undefined) && findings.problems.length > 0 ? 5 : 0;
}
