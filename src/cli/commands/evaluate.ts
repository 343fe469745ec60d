import { Option, type Command } from "commander";
import { readSamples } from "../../data/read-samples.js";
import { withReferences } from "../../data/references.js";
import type { SampleSet } from "../../data/sample.js";
import type { Adapter } from "../../engine/adapter.js";
import { GPU_CHOICES, type Gpu } from "../../engine/devices.js";
import { loadModel } from "../../engine/model.js";
import { BackendError, InputError } from "../../errors.js";
import type { WriteAnswers } from "../../evaluation/answering.js";
import { evaluate } from "../../evaluation/evaluate.js";
import { readCalibration, sharedLines } from "../../evaluation/from-result.js";
import { loadMetric, NLL_METRIC } from "../../evaluation/load-metric.js";
import { knownCandidates, namedCandidates } from "../../evaluation/name-candidates.js";
import type { CalibrationChoice } from "../../evaluation/result.js";
import type { NamedScales } from "../../lora/candidate.js";
import { measureSpeeds } from "../measure-speeds.js";
import { chosenOnSentence, renderEvaluation } from "../../report/evaluation.js";
import { printable } from "../../report/text.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { decimal, integer } from "../numbers.js";
import { addSampleOptions, readingOptions, type SampleFlags } from "../sample-options.js";

interface EvaluateFlags extends SampleFlags {
  readonly candidates?: string;
  readonly from?: string;
  readonly metric: string;
  readonly confidence: number;
  readonly json?: string;
  readonly force?: true;
  readonly speed?: true;
  readonly gpu: Gpu;
  readonly gpuLayers?: number;
  readonly device?: readonly string[];
  readonly threads?: number;
  readonly batchTokens: number;
}

const EXAMPLES = examples(
  [
    "evaluate base.gguf adapter.gguf test.jsonl --candidates upto:24",
    "A cut against the base model and the full adapter",
  ],
  ["evaluate base.gguf adapter.gguf test.jsonl --from result.json --json evaluation.json", "What calibrate has chosen"],
);

export function configure(command: Command): void {
  command
    .description(
      "Compare the base model, the full adapter and any candidates on your samples: metrics with paired bounds, wins " +
        "and losses. The answers are kept in the JSON result.",
    )
    .usage("<base> <adapter> <samples> [options]")
    .argument("<base>", "GGUF base model, the first part of a split one")
    .argument("<adapter>", "GGUF LoRA adapter trained on it")
    .argument("<samples>", "as for calibrate; several right answers as a list `references`")
    .option("--candidates <names>", "such as upto:24,from:5,without:2,7,scale:1.25; base and full are always there")
    .option("--from <file>", "take the chosen candidate, and others by name, from a result of calibrate --json")
    .option(
      "--metric <names>",
      "nll, exact, numeric, f1, rouge-l, bleu, chrf, or a module such as ./mine.mjs",
      NLL_METRIC,
    )
    .option("--confidence <level>", "of all bounds together", decimal, 0.95)
    .option("--seed <n>", "of everything random", integer, 0)
    .addOption(jsonOption())
    .option("--speed", "measure prompts, writing, file size and load time of base, full and candidates side by side")
    .option("--force", "write over an existing result file");
  addSampleOptions(command)
    .optionsGroup("Machine:")
    .addOption(
      new Option("--gpu <backend>", "where to compute; auto takes the first that works, a name never falls back")
        .choices(GPU_CHOICES)
        .default("none"),
    )
    .option("--gpu-layers <n>", "layers to compute on the GPU (default: all)", integer)
    .option("--device <names...>", "GPUs by the names that doctor lists (default: all of the backend)")
    .option("--threads <n>", "processor threads", integer)
    .option("--batch-tokens <n>", "tokens computed at once", integer, 512)
    .addHelpText("after", EXAMPLES);
}

/**
 * WIRING: the one place where generation comes in. Return what `adapter.generate` writes behind each sample's prompt, the
 * tokens before its first scored one.
 *
 * @throws BackendError NO_GENERATION: this version computes losses only
 */
function answersBy(adapter: Adapter): WriteAnswers {
  throw new BackendError(
    "NO_GENERATION",
    `This version cannot write answers with ${adapter.path}, so only \`--metric nll\` can be evaluated.`,
  );
}

export async function run(args: readonly string[], flags: EvaluateFlags, context: CommandContext): Promise<number> {
  const [base = "", source = "", samplesPath = ""] = args;
  const { signal, progress } = context;
  const inputs = [base, source, samplesPath, ...(flags.from === undefined ? [] : [flags.from])];
  const json = { target: flags.json, inputs, force: flags.force ?? false };
  await requireJsonTarget(json);
  // What is mistyped must not wait for a model to load.
  const names = flags.metric.split(",").map((name) => name.trim());
  const metrics = await Promise.all(names.filter((name) => name !== NLL_METRIC).map(loadMetric));
  const choice = flags.from === undefined ? null : await readCalibration(flags.from);
  const reading = await readingOptions(flags, signal);

  await using model = await loadModel(base, {
    ...{ gpu: flags.gpu, gpuLayers: flags.gpuLayers, devices: flags.device, signal },
    onProgress: (share) => {
      progress.update({ label: "Loading the model", done: share, total: 1, secondsLeft: null });
    },
  });
  const candidates = candidatesOf(flags, choice, model.layers);
  const samples = await readSamples(samplesPath, model, reading);
  for (const notice of samples.notices) context.stderr(`Notice: ${printable(notice)}`);
  // A row without references is told before anything is written, not after.
  if (metrics.length > 0) withReferences(samples);
  const chosenOn =
    choice === null || flags.from === undefined
      ? null
      : { path: flags.from, sharedLines: sharedLines(samples, choice) };
  const warning = chosenOnSentence({ chosenOn, data: { samples: samples.samples.length } });
  if (warning !== "") context.stderr(printable(warning));

  await using adapter = await model.loadAdapter(source, { signal });
  const losses = names.includes(NLL_METRIC) ? await lossesOf(adapter, samples, candidates, flags, context) : null;
  const answers = metrics.length > 0 ? await answersOf(adapter, samples, candidates, context) : null;
  const speed = flags.speed === true ? await measureSpeeds(adapter, samples, candidates, flags, context) : null;
  progress.done();
  const evaluated = evaluate(
    {
      model: { path: model.path },
      adapter: { path: adapter.path, coveredLayers: adapter.file.layers },
      ...{ samples, candidates, answers, metrics, losses },
    },
    { confidence: flags.confidence, seed: flags.seed, chosenOn, command: ["lora-boundary", ...context.argv] },
  );
  const result = speed === null ? evaluated : { ...evaluated, speed };
  await deliver(result, () => renderEvaluation(result, context.style), json, context);
  return 0;
}

function candidatesOf(
  { candidates, from = "" }: EvaluateFlags,
  choice: CalibrationChoice | null,
  layers: number,
): readonly NamedScales[] {
  if (choice !== null && choice.model.layers !== layers) {
    throw new InputError(
      "RESULT_LAYERS",
      `Expected a result of a model with ${layers} layers in ${from} but received one with ${choice.model.layers}: it is of another model.`,
      { details: { file: from, layers, received: choice.model.layers } },
    );
  }
  const known = choice === null ? [] : knownCandidates(choice);
  return namedCandidates(candidates ?? choice?.selected?.candidate.id ?? "base,full", layers, known);
}

async function lossesOf(
  adapter: Adapter,
  { samples }: SampleSet,
  candidates: readonly NamedScales[],
  { threads, batchTokens }: EvaluateFlags,
  { signal, progress }: CommandContext,
): Promise<readonly Float64Array[]> {
  // Scoring reads the strengths alone: the family is a candidate's place in a search, and here is none.
  const vectors = candidates.map((candidate) => ({ ...candidate, family: "boundary" as const }));
  return adapter.score(samples, vectors, {
    ...{ threads, batchTokens, signal },
    onProgress: ({ done, total }) => {
      progress.update({ label: "Scoring", done, total, secondsLeft: null });
    },
  });
}

async function answersOf(
  adapter: Adapter,
  { samples }: SampleSet,
  candidates: readonly NamedScales[],
  { signal, progress }: CommandContext,
): Promise<readonly (readonly string[])[]> {
  const write = answersBy(adapter);
  const answers: (readonly string[])[] = [];
  for (const candidate of candidates) {
    progress.update({ label: "Writing answers", done: answers.length, total: candidates.length, secondsLeft: null });
    answers.push(await write(candidate, samples, { signal }));
  }
  return answers;
}
