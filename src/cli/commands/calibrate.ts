import { Option, type Command } from "commander";
import { calibrate, type CalibrationProgress } from "../../calibration/calibrate.js";
import { plan, type CalibrationPlan } from "../../calibration/plan.js";
import { scoreShard, type RecordedJudging, type ScoreShardOptions, type Shard } from "../../calibration/shard.js";
import { writeVerified } from "../../calibration/write-verified.js";
import { readSamples } from "../../data/read-samples.js";
import type { SampleSet } from "../../data/sample.js";
import { renderSample } from "../../data/show-sample.js";
import type { Adapter } from "../../engine/adapter.js";
import { LoraBoundaryError, UsageError } from "../../errors.js";
import { loadObjective } from "../../evaluation/load-metric.js";
import { renderPlan, type PlanView } from "../../report/plan.js";
import { renderShownSample } from "../../report/shown-sample.js";
import { renderCalibration } from "../../report/terminal.js";
import { printable } from "../../report/text.js";
import type { CalibrationResult } from "../../result.js";
import { claimOf } from "../../results/tried-candidate.js";
import { FAMILIES, type Family } from "../../lora/candidate.js";
import { CONTROL_SCALES } from "../../search/families.js";
import type { Strategy } from "../../search/race.js";
import { addAnswerOptions, answerOptions, type AnswerFlags } from "../answer-options.js";
import { requireOutput, tellOutcome } from "../calibration-outcome.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { addGuardOptions, guardNotice, readGuard, requireOtherGuard, type GuardFlags } from "../guard-options.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget, type JsonRequest } from "../json-output.js";
import { journalRequest } from "../journal-file.js";
import { addMachineOptions, deviceOptions, sessionOptions, type MachineFlags } from "../machine-options.js";
import { decimal, duration, integer } from "../numbers.js";
import { openModel } from "../open-model.js";
import { pageOption, requirePageTarget, writePage, type PageRequest } from "../page-output.js";
import { addSampleOptions, readingOptions, type SampleFlags } from "../sample-options.js";
import { renderPart, requireShardTargets, runMerge, shardOf, type MergeFlags } from "./calibrate-parts.js";
import { requireNoRecipe, requireRecipeTarget, writeRecipe, type RecipeRequest } from "../recipe-output.js";

interface CalibrateFlags extends MachineFlags, SampleFlags, AnswerFlags, GuardFlags {
  readonly output?: string;
  readonly json?: string;
  readonly report?: string;
  readonly recipe?: string;
  readonly force?: boolean;
  readonly objective: string;
  readonly keepAnswers?: true;
  readonly inSample?: true;
  readonly journal?: string | false;
  readonly resume?: true;
  readonly shard?: Shard;
  readonly merge?: readonly string[];
  readonly goal?: "economy" | "quality";
  readonly margin?: number;
  readonly confidence?: number;
  readonly families: readonly Family[];
  readonly strategy?: Strategy;
  readonly per: "layer" | "module";
  readonly budget?: number;
  readonly holdout?: number;
  readonly controls?: true;
  readonly tokenWeighted?: true;
  readonly dryRun?: true;
  readonly showSample?: number;
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
    "calibrate base.gguf adapter.gguf samples.jsonl --guard general.jsonl -o small.gguf",
    "Write only what is no worse on general text either",
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
    .argument("[base]", "GGUF base model, the first part of a split one")
    .argument("[adapter]", "GGUF LoRA adapter trained on it")
    .argument(
      "[samples]",
      "JSONL or JSON array: prompt + completion, messages, conversations, instruction + output, or text",
    )
    .option("-o, --output <file>", "adapter to write, where a cut is proven")
    .addOption(jsonOption())
    .addOption(pageOption())
    .option("--recipe <file>", "what verify needs to make and judge the same cut again, where one is proven")
    .option("--force", "write over existing files, and go on where the adapter does not beat the base model")
    .addOption(
      new Option(
        "--goal <goal>",
        "economy: the fewest layers that lose nothing; quality: the best proven better (default: economy)",
      ).choices(["economy", "quality"]),
    )
    .option(
      "--objective <objective>",
      "nll: how well the samples are predicted; kl: how much like the full adapter, which needs no right answers; " +
        "choice: the right one of a row's choices; exact, numeric, f1, rouge-l, bleu, chrf or a module such as " +
        "./mine.mjs: how good the answers are that are written",
      "nll",
    )
    .option("--in-sample", "the adapter was trained on these samples: say so, and call nothing better")
    .option("--margin <share>", "share of the adapter's gain that may be lost (default: 0.02)", decimal)
    .option("--confidence <level>", "of all bounds together (default: 0.95)", decimal)
    .option("--seed <n>", "of everything random (default: 0)", integer)
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
    .optionsGroup("Long runs:")
    .option("--journal <file>", "where finished work is kept (default: beside -o or --json, FILE.journal)")
    .option("--no-journal", "keep none")
    .option("--resume", "go on from the journal, over the run's own files; margin, confidence and goal may change")
    .option("--shard <i/n>", "score part i of n of the samples, into --json", shardOf)
    .option("--merge <parts...>", "give the result of the whole run from the files of all parts");
  addSampleOptions(command).option("--show-sample <n>", "print sample n as the model sees it, then stop", integer);
  addAnswerOptions(command).option("--keep-answers", "put every answer into the JSON result, which makes it large");
  addGuardOptions(command);
  addMachineOptions(command)
    .addOption(
      new Option("--hash <mode>", "of the base model; auto: header and sampled blocks; full: every byte")
        .choices(["auto", "full"])
        .default("auto"),
    )
    .addHelpText("after", EXAMPLES);
}

export async function run(args: readonly string[], flags: CalibrateFlags, context: CommandContext): Promise<number> {
  if (flags.merge !== undefined) {
    requireNoRecipe(flags.recipe, "merge");
    return await runMerge(mergeFlags(args, flags), context);
  }
  const [base, source, samplesPath] = args;
  if (base === undefined || source === undefined || samplesPath === undefined) {
    const names = ["base", "adapter", "samples"];
    throw new UsageError(
      "CALIBRATE_ARGUMENTS",
      `Expected <base> <adapter> <samples> but received ${args.length === 0 ? "nothing" : args.join(" ")}: missing required argument '${names[args.length] ?? ""}'.`,
    );
  }
  const { output, shard } = flags;
  if (shard !== undefined) {
    requireShardTargets(flags.json, output);
    requireNoRecipe(flags.recipe, "shard");
  }
  requireOtherGuard(flags, samplesPath);
  const files = [base, source, samplesPath, ...(flags.guard === undefined ? [] : [flags.guard])];
  const journal = await journalRequest(flags, files);
  const force = flags.force === true || journal.resumes;
  const json: JsonRequest = {
    target: flags.json,
    inputs: [...files, ...(output === undefined ? [] : [output])],
    force,
  };
  if (output !== undefined) await requireOutput(output, flags.json, files, force);
  await requireJsonTarget(json);
  const page: PageRequest = { target: flags.report, inputs: json.inputs, force };
  await requirePageTarget(page);
  // What is mistyped must not wait for a model to load.
  const objective = await loadObjective(flags.objective);
  const reading = await readingOptions(flags);
  const recipe: RecipeRequest = {
    ...{ target: flags.recipe, inputs: json.inputs, force },
    paths: { model: base, adapter: source, samples: samplesPath },
  };
  await requireRecipeTarget(recipe, flags.objective);

  const { signal, progress } = context;
  await using model = await openModel(base, deviceOptions(flags), context);
  const samples = await readSamples(samplesPath, model, { ...reading, signal, promptOnly: flags.objective === "kl" });
  // Before hours are spent on a wrong template, not after.
  for (const notice of samples.notices) context.stderr(`Notice: ${printable(notice)}`);
  if (flags.showSample !== undefined) {
    context.stdout(showSample(samples, flags.showSample, model, context));
    return 0;
  }
  const guard = await readGuard(flags, model, reading, context);
  await using adapter = await model.loadAdapter(source, {
    ...{ signal, per: flags.per },
    onDownload: downloading(context).onProgress,
  });
  const guarding = { guard, guardMargin: flags.guardMargin };
  const options = { ...searchOptions(flags), ...guarding, objective, answers: answerOptions(flags) };
  if (flags.dryRun === true) {
    const estimate = await plan(adapter, samples, { ...options, signal });
    progress.done();
    const written = { schema: "lora-boundary/plan@1", ...estimate };
    await deliver(written, () => renderPlan(planView(estimate), context.style), json, context);
    return 0;
  }

  const running: ScoreShardOptions = {
    ...options,
    ...{ ...judgingOf(flags), hash: flags.hash, journal: journal.options, signal },
    command: ["lora-boundary", ...context.argv],
    onNotice: (notice) => {
      context.stderr(`Notice: ${printable(notice)}`);
    },
    onProgress: (step) => {
      progress.update(progressStep(step));
    },
  };
  if (shard !== undefined) {
    const part = await scoreShard(adapter, samples, shard, { ...running, reading: { ...reading } });
    progress.done();
    await deliver(part, () => renderPart(part), json, context);
    return 0;
  }
  let result: CalibrationResult;
  // Before the plan nothing is in the journal.
  const reached = { plan: false };
  try {
    result = await calibrate(adapter, samples, {
      ...running,
      keepAnswers: flags.keepAnswers ?? false,
      onPlan: (estimate) => {
        reached.plan = true;
        context.stderr(renderPlan(planView(estimate), context.style));
      },
      onGuard: (notice) => {
        context.stderr(guardNotice(notice));
      },
    });
  } catch (error) {
    progress.done();
    if (error instanceof LoraBoundaryError && "partial" in error.details) await showPartial(error, json, page, context);
    if (reached.plan && journal.options !== undefined) {
      context.stderr(`Finished work is kept in ${printable(journal.options.path)}: go on with --resume.`);
    }
    throw error;
  }
  const write = (found: CalibrationResult) =>
    writeSelected(adapter, samples, found, output ?? "", { ...flags, force }, context);
  const exitCode = await tellOutcome(result, output === undefined ? null : write, { json, page }, context);
  const { tokenWeighted } = flags;
  await writeRecipe({ adapter, samples, result, reading, tokenWeighted }, recipe, sessionOptions(flags), context);
  return exitCode;
}

function judgingOf(flags: CalibrateFlags): RecordedJudging {
  const { goal, margin, confidence, seed, tokenWeighted, inSample, force } = flags;
  return { goal, margin, confidence, seed, tokenWeighted, inSample, force };
}

/** What is no family is refused with the other options, see `checkCalibrationOptions`. */
function familyNames(text: string): readonly Family[] {
  return text.split(",").map((name) => name.trim()) as Family[];
}

function mergeFlags(args: readonly string[], flags: CalibrateFlags): MergeFlags {
  const { shard, resume, seed, strategy, budget, guard, guardMargin } = flags;
  if (
    args.length > 0 ||
    [shard, resume, seed, strategy, budget, guard, guardMargin].some((flag) => flag !== undefined)
  ) {
    throw new UsageError(
      "MERGE_ALONE",
      "Expected the files of parts alone with `--merge`, which know their base model, adapter, samples and seed; leave out other files, --shard, --resume, --seed, --strategy, --budget and --guard.",
      { details: { option: "merge" } },
    );
  }
  const { merge = [], output, json, report, force = false } = flags;
  return {
    ...{ merge, output, json, report, force, judging: judgingOf(flags) },
    ...{ device: deviceOptions(flags), session: sessionOptions(flags) },
  };
}

function searchOptions(flags: CalibrateFlags) {
  const { controls, margin, confidence, seed, strategy, budget, holdout } = flags;
  const families = controls === true ? [...new Set([...flags.families, "scale" as const])] : flags.families;
  return {
    ...{ families, margin, confidence, seed },
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
      ...(memory.factors > 0 ? [{ name: "adapter", bytes: memory.factors }] : []),
    ],
  };
}

const STAGES: Readonly<Record<CalibrationProgress["stage"], string>> = {
  hash: "Hashing the model",
  plan: "Measuring the speed",
  nll: "Looking first by NLL",
  boundary: "Scoring candidates",
  refine: "Looking closer at the best",
  subset: "Searching subsets",
  controls: "Scoring the control",
  settle: "Completing a close choice",
  guard: "Scoring the guard set",
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

async function writeSelected(
  adapter: Adapter,
  samples: SampleSet,
  result: CalibrationResult,
  target: string,
  flags: CalibrateFlags,
  { signal }: CommandContext,
): Promise<CalibrationResult> {
  if (result.selected === null) return result;
  const output = await writeVerified(adapter, samples, result.selected.candidate, target, {
    ...sessionOptions(flags),
    force: flags.force,
    signal,
    sourceSha256: result.adapter.sha256,
    claim: claimOf(result, result.selected.candidate.id),
  });
  return { ...result, output };
}
