import { Option, type Command } from "commander";
import { GPU_CHOICES, type Gpu } from "../../engine/devices.js";
import { verifyRecipe } from "../../recipe/verify-recipe.js";
import { junitXml } from "../../report/junit.js";
import { renderVerification } from "../../report/verification.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { integer } from "../numbers.js";
import { requirePageTarget, writeText } from "../page-output.js";

interface VerifyFlags {
  readonly adapter?: string;
  readonly junit?: string;
  readonly json?: string;
  readonly force?: true;
  readonly gpu?: Gpu;
  readonly gpuLayers?: number;
  readonly device?: readonly string[];
  readonly threads?: number;
}

/** As for every `VerificationError`. */
const FAILED = 6;

const EXAMPLES = examples(
  ["verify recipe.json", "Do the files and the numbers still hold"],
  ["verify recipe.json --adapter retrained.gguf --junit verify.xml", "Is the same cut good for the next version"],
);

const STAGES = {
  files: "Reading the files",
  model: "Loading the model",
  trim: "Making the cut again",
  scores: "Scoring",
} as const;

export function configure(command: Command): void {
  command
    .description(
      "Make the cut of a recipe again and score it: it is not worse than the full adapter, and not worse than the " +
        "recorded cut. One line per check; the exit code is 6 where one of them fails. A recipe is written by calibrate --recipe.",
    )
    .usage("<recipe.json> [--adapter <file>] [options]")
    .argument("<recipe.json>", "recipe; its paths are relative to it")
    .option("--adapter <file>", "a retrained adapter in place of the recorded one")
    .option("--junit <file>", "the checks as JUnit XML")
    .addOption(jsonOption())
    .option("--force", "write over existing files")
    .optionsGroup("Machine:")
    .addOption(
      new Option(
        "--gpu <backend>",
        "where to compute (default: as recorded); scores of two backends are never paired",
      ).choices(GPU_CHOICES),
    )
    .option("--gpu-layers <n>", "layers to compute on the GPU (default: all)", integer)
    .option("--device <names...>", "GPUs by the names that doctor lists (default: all of the backend)")
    .option("--threads <n>", "processor threads (default: as recorded)", integer)
    .addHelpText("after", EXAMPLES);
}

export async function run([path = ""]: readonly string[], flags: VerifyFlags, context: CommandContext) {
  const { adapter, gpu, gpuLayers, device: devices, threads, junit, force = false } = flags;
  const targets = { inputs: [path, ...(adapter === undefined ? [] : [adapter])], force };
  const json = { target: flags.json, ...targets };
  await requireJsonTarget(json);
  await requirePageTarget({ target: junit, ...targets });
  const { signal, progress } = context;
  const result = await verifyRecipe(path, {
    ...{ adapter, gpu, gpuLayers, devices, threads, signal },
    command: ["lora-boundary", ...context.argv],
    onDownload: downloading(context).onProgress,
    onStage: (stage) => {
      progress.update({ label: STAGES[stage], done: 0, total: 1, secondsLeft: null });
    },
  });
  progress.done();
  await deliver(result, () => renderVerification(result, context.style), json, context);
  if (junit !== undefined) await writeText(junit, junitXml(result), targets);
  return result.passed ? 0 : FAILED;
}
