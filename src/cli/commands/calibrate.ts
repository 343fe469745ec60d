import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { calibrate, type CalibrationProgress } from "../../calibration/calibrate.js";
import { plan, type CalibrationPlan } from "../../calibration/plan.js";
import { writeVerified } from "../../calibration/write-verified.js";
import type { ReadSamplesOptions } from "../../data/options.js";
import { readSamples } from "../../data/read-samples.js";
import type { SampleSet } from "../../data/sample.js";
import { renderSample } from "../../data/show-sample.js";
import type { Adapter } from "../../engine/adapter.js";
import { loadModel } from "../../engine/model.js";
import type { ScoreObjective } from "../../engine/session-types.js";
import { InputError, LoraBoundaryError, UsageError } from "../../errors.js";
import { requireTarget } from "../../gguf/target-file.js";
import { renderPlan, type PlanView } from "../../report/plan.js";
import { renderShownSample } from "../../report/shown-sample.js";
import { renderCalibration } from "../../report/terminal.js";
import { printable } from "../../report/text.js";
import type { CalibrationResult } from "../../result.js";
import { FAMILIES, type Family } from "../../lora/candidate.js";
import { CONTROL_SCALES } from "../../search/families.js";
import type { Strategy } from "../../search/race.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget, type JsonRequest } from "../json-output.js";
import { addMachineOptions, deviceOptions, sessionOptions, type MachineFlags } from "../machine-options.js";
import { decimal, duration, integer } from "../numbers.js";
import { pageOption, requirePageTarget, writePage, type PageRequest } from "../page-output.js";
import { requireRecipeTarget, writeRecipe, type RecipeRequest } from "../recipe-output.js";
import { chatTemplate, templateVariables } from "../template-flags.js";

interface CalibrateFlags extends MachineFlags {
  readonly output?: string;
  readonly json?: string;
  readonly report?: string;
  readonly recipe?: string;
  readonly force?: boolean;
  readonly objective: ScoreObjective;
  readonly inSample?: true;
  readonly goal: "economy" | "quality";
  readonly margin: number;
  readonly confidence: number;
  readonly seed: number;
  readonly families: readonly Family[];
  readonly strategy?: Strategy;
  readonly per: "layer" | "module";
  readonly budget?: number;
  readonly holdout?: number;
  readonly controls?: true;
  readonly tokenWeighted?: true;
  readonly dryRun?: true;
  readonly showSample?: number;
  readonly limit?: number;
  readonly maxTokens?: number;
  readonly score: "last" | "all";
  readonly eos?: true;
  readonly chatTemplate?: string;
  readonly templateVars?: string;
  readonly templateDate?: string;
  readonly promptTemplate?: string;
  readonly hash: "auto" | "full";
}

const EXAMPLES = examples(
  [
    "calibrate base.gguf adapter.gguf samples.jsonl -o small.gguf",
    "Find the boundary, prove it, write the smaller adapter",
  ],
  ["calibrate base.gguf adapter.gguf samples.jsonl --dry-run", "What would it cost, and what can these samples show"],
  [
    "calibrate base.gguf adapter.gguf samples.jsonl --show-sample 1",
    "How is a sample rendered, and what of it is scored",
  ],
  [
    "calibrate base.gguf adapter.gguf samples.jsonl --margin 0.05 --json result.json",
    "Allow a loss of 5 % of the gain",
  ],
);

export function configure(command: Command): void {
  command
    .description(
      "Score the adapter at every boundary between layers on your samples, say what the data prove, and write the " +
        "adapter with the fewest layers that loses nothing. Without proof nothing is written, and the exit code is 1.",
    )
    .usage("<base> <adapter> <samples> [-o <file>] [options]")
    .argument("<base>", "GGUF base model, the first part of a split one")
    .argument("<adapter>", "GGUF LoRA adapter trained on it")
    .argument(
      "<samples>",
      "JSONL or JSON array: prompt + completion, messages, conversations, instruction + output, or text",
    )
    .option("-o, --output <file>", "adapter to write, where a cut is proven")
    .addOption(jsonOption())
    .addOption(pageOption())
    .option("--recipe <file>", "what verify needs to make and judge the same cut again, where one is proven")
    .option("--force", "write over existing files, and go on where the adapter does not beat the base model")
    .addOption(
      new Option("--goal <goal>", "economy: the fewest layers that lose nothing; quality: the best proven better")
        .choices(["economy", "quality"])
        .default("economy"),
    )
    .addOption(
      new Option(
        "--objective <objective>",
        "nll: how well the samples are predicted; kl: how much like the full adapter, which needs no right answers",
      )
        .choices(["nll", "kl"])
        .default("nll"),
    )
    .option("--in-sample", "the adapter was trained on these samples: say so, and call nothing better")
    .option("--margin <share>", "share of the adapter's gain that may be lost", decimal, 0.02)
    .option("--confidence <level>", "of all bounds together", decimal, 0.95)
    .option("--seed <n>", "of everything random", integer, 0)
    .option("--families <names>", `candidates to try, joined by commas: ${FAMILIES.join(", ")}`, familyNames, [
      "boundary",
    ])
    .addOption(
      new Option(
        "--strategy <strategy>",
        "exhaustive: all on all samples; race: losing candidates leave early (default: race from 16 layers)",
      ).choices(["exhaustive", "race"]),
    )
    .addOption(
      new Option("--per <unit>", "what a subset search may drop: layers, or their attention and feed-forward pairs")
        .choices(["layer", "module"])
        .default("layer"),
    )
    .option("--budget <time>", "stop after 90s, 10m or 2h with what is known then", duration)
    .option(
      "--holdout <share>",
      "of the samples, for judging a subset search alone (default: two halves take turns)",
      decimal,
    )
    .option("--controls", `score the whole adapter at ${CONTROL_SCALES.join(", ")} as well, not only when needed`)
    .option("--token-weighted", "let samples count by their scored tokens, not all the same")
    .option("--dry-run", "print cost, memory and what the samples can show, then stop")
    .optionsGroup("Samples:")
    .option("--show-sample <n>", "print sample n as the model sees it, then stop", integer)
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
  addMachineOptions(command)
    .addOption(
      new Option("--hash <mode>", "of the base model; auto: header and sampled blocks; full: every byte")
        .choices(["auto", "full"])
        .default("auto"),
    )
    .addHelpText("after", EXAMPLES);
}

export async function run(args: readonly string[], flags: CalibrateFlags, context: CommandContext): Promise<number> {
  const [base = "", source = "", samplesPath = ""] = args;
  const { force = false, output } = flags;
  const json: JsonRequest = {
    target: flags.json,
    inputs: [base, source, samplesPath, ...(output === undefined ? [] : [output])],
    force,
  };
  // A run of an hour must not fail at its end for a name.
  if (output !== undefined) await requireOutput(output, flags, [base, source, samplesPath]);
  await requireJsonTarget(json);
  const page: PageRequest = { target: flags.report, inputs: json.inputs, force };
  await requirePageTarget(page);
  const recipe: RecipeRequest = {
    ...{ target: flags.recipe, inputs: json.inputs, force },
    paths: { model: base, adapter: source, samples: samplesPath },
  };
  await requireRecipeTarget(recipe, flags.objective);
  const reading = await readingOptions(flags, context.signal);

  const { signal, progress } = context;
  await using model = await loadModel(base, {
    ...deviceOptions(flags),
    signal,
    onDownload: downloading(context).onProgress,
    onProgress: (share) => {
      progress.update({ label: "Loading the model", done: share, total: 1, secondsLeft: null });
    },
  });
  if (model.placement.notice !== null) context.stderr(model.placement.notice);
  const samples = await readSamples(samplesPath, model, reading);
  // Before hours are spent on a wrong template, not after.
  for (const notice of samples.notices) context.stderr(`Notice: ${printable(notice)}`);
  if (flags.showSample !== undefined) {
    context.stdout(showSample(samples, flags.showSample, model, context));
    return 0;
  }
  await using adapter = await model.loadAdapter(source, {
    ...{ signal, per: flags.per },
    onDownload: downloading(context).onProgress,
  });
  const options = searchOptions(flags);
  if (flags.dryRun === true) {
    const estimate = await plan(adapter, samples, { ...options, signal });
    progress.done();
    await deliver(estimate, () => renderPlan(planView(estimate), context.style), json, context);
    return 0;
  }

  let result: CalibrationResult;
  try {
    result = await calibrate(adapter, samples, {
      ...options,
      goal: flags.goal,
      inSample: flags.inSample ?? false,
      seed: flags.seed,
      tokenWeighted: flags.tokenWeighted ?? false,
      force,
      hash: flags.hash,
      command: ["lora-boundary", ...context.argv],
      signal,
      onPlan: (estimate) => {
        context.stderr(renderPlan(planView(estimate), context.style));
      },
      onProgress: (step) => {
        progress.update(progressStep(step));
      },
    });
  } catch (error) {
    progress.done();
    if (error instanceof LoraBoundaryError && "partial" in error.details) await showPartial(error, json, page, context);
    throw error;
  }
  let failure: Error | null = null;
  if (output !== undefined && result.selected !== null) {
    try {
      result = await write(adapter, samples, result, output, flags, context);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // What took an hour to find is told all the same; the failure follows.
      failure = error;
    }
  }
  progress.done();
  await deliver(result, () => renderCalibration(result, context.style), json, context);
  await writePage(result, page, context);
  if (failure !== null) throw failure;
  const { tokenWeighted } = flags;
  await writeRecipe({ adapter, samples, result, reading, tokenWeighted }, recipe, sessionOptions(flags), context);
  if (!result.gate.passed && !result.gate.forced) {
    throw new InputError(
      result.gate.failure === "no-gain" ? "GATE_NO_GAIN" : "GATE_TOO_FEW",
      "The search stopped because the full adapter is not proven better than the base model; see the likely causes above. To go on all the same: --force.",
    );
  }
  return result.selected === null ? 1 : 0;
}

/** What is no family is refused with the other options, see `checkCalibrationOptions`. */
function familyNames(text: string): readonly Family[] {
  return text.split(",").map((name) => name.trim()) as Family[];
}

async function requireOutput(output: string, { json, force = false }: CalibrateFlags, inputs: readonly string[]) {
  if (output === "" || output === "-") {
    throw new UsageError(
      "CALIBRATE_OUTPUT",
      `Expected a file name for \`--output\` but received ${output === "" ? "nothing" : "`-`, stdout, which cannot be checked"}; give a name such as small.gguf.`,
      { details: { option: "output" } },
    );
  }
  if (json !== undefined && resolve(json) === resolve(output)) {
    throw new UsageError(
      "CALIBRATE_SAME",
      `Expected another file than that of \`--output\` for \`--json\` but received ${output} for both; give another name.`,
      { details: { option: "json" } },
    );
  }
  await requireTarget(output, inputs, { force });
}

async function readingOptions(flags: CalibrateFlags, signal: AbortSignal): Promise<ReadSamplesOptions> {
  const { limit, seed, maxTokens, score, eos, templateDate, promptTemplate } = flags;
  return {
    ...{ limit, seed, maxTokens, score, eos, templateDate, promptTemplate, signal },
    chatTemplate: await chatTemplate(flags.chatTemplate),
    templateVariables: templateVariables(flags.templateVars),
  };
}

function searchOptions(flags: CalibrateFlags) {
  const { objective, controls, margin, confidence, seed, strategy, budget, holdout } = flags;
  const families = controls === true ? [...new Set([...flags.families, "scale" as const])] : flags.families;
  return {
    ...{ objective, families, margin, confidence, seed },
    ...sessionOptions(flags),
    ...(strategy && { strategy }),
    ...(budget !== undefined && { budget }),
    ...(holdout !== undefined && { holdout }),
  };
}

function planView({ memory, ...estimate }: CalibrationPlan): PlanView {
  return {
    ...estimate,
    smallestNats: null,
    memory: [
      { name: "kept states", bytes: memory.states },
      { name: "logits", bytes: memory.logits },
      { name: "llama.cpp", bytes: memory.compute + memory.cache },
    ],
  };
}

const STAGES: Readonly<Record<CalibrationProgress["stage"], string>> = {
  hash: "Hashing the model",
  plan: "Measuring the speed",
  boundary: "Scoring candidates",
  refine: "Looking closer at the best",
  subset: "Searching subsets",
  controls: "Scoring the control",
};

function progressStep({ stage, ...step }: CalibrationProgress) {
  return { label: STAGES[stage], ...step };
}

function showSample(
  { samples }: SampleSet,
  number: number,
  model: Parameters<typeof renderSample>[1],
  { style }: CommandContext,
): string {
  const sample = samples[number - 1];
  if (sample === undefined) {
    throw new UsageError(
      "SHOW_SAMPLE_RANGE",
      `Expected a sample from 1 to ${samples.length} for \`--show-sample\` but received ${number}.`,
      { details: { option: "show-sample" } },
    );
  }
  return renderShownSample(renderSample(sample, model), style);
}

/** What is known when Ctrl-C comes or the backend fails; the error itself goes on to the exit code. */
async function showPartial(error: LoraBoundaryError, json: JsonRequest, page: PageRequest, context: CommandContext) {
  const partial = error.details["partial"] as CalibrationResult | null | undefined;
  if (partial == null) {
    context.stderr("Nothing is known yet: fewer than two samples were complete.");
    return;
  }
  await deliver(partial, () => renderCalibration(partial, context.style), json, context);
  // The signal has fired, but what there is to read is small.
  await writePage(partial, page, { ...context, signal: new AbortController().signal });
}

async function write(
  adapter: Adapter,
  samples: SampleSet,
  result: CalibrationResult,
  target: string,
  flags: CalibrateFlags,
  { signal, progress }: CommandContext,
): Promise<CalibrationResult> {
  if (result.selected === null) return result;
  progress.update({ label: "Writing and checking the adapter", done: 0, total: 1, secondsLeft: null });
  const output = await writeVerified(adapter, samples, result.selected.candidate, target, {
    ...sessionOptions(flags),
    force: flags.force,
    signal,
    sourceSha256: result.adapter.sha256,
  });
  return { ...result, output };
}
