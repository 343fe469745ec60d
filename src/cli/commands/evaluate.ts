import type { Command } from "commander";
import { withChoices } from "../../data/choices.js";
import { readSamples } from "../../data/read-samples.js";
import { withReferences } from "../../data/references.js";
import { someOf, type Sample } from "../../data/sample.js";
import type { Adapter } from "../../engine/adapter.js";
import { answerBatches } from "../../calibration/packing.js";
import { CancelledError, InputError } from "../../errors.js";
import { requireMetric } from "../../evaluation/answering.js";
import { allChoices, choiceScores } from "../../evaluation/choosing.js";
import { evaluate } from "../../evaluation/evaluate.js";
import { CHOICE_METRIC, loadMetric, NLL_METRIC } from "../../evaluation/load-metric.js";
import { knownCandidates, namedCandidates } from "../../evaluation/name-candidates.js";
import type { CalibrationChoice } from "../../evaluation/result.js";
import { sharedLines } from "../../evaluation/shared-lines.js";
import { writeAnswers } from "../../evaluation/write-answers.js";
import type { NamedScales } from "../../lora/candidate.js";
import { readResult } from "../../results/read-result.js";
import { measureSpeeds } from "../measure-speeds.js";
import { chosenOnSentence, renderEvaluation } from "../../report/evaluation.js";
import { printable } from "../../report/text.js";
import { addAnswerOptions, answerOptions, type AnswerFlags } from "../answer-options.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { addMachineOptions, deviceOptions, sessionOptions, type MachineFlags } from "../machine-options.js";
import { decimal, integer } from "../numbers.js";
import { openModel } from "../open-model.js";
import { addSampleOptions, readingOptions, type SampleFlags } from "../sample-options.js";

/** Metrics that need no answers. */
const BY_LOSS = [NLL_METRIC, CHOICE_METRIC];
/** Samples are answered so many times `--sequences` at a time: few enough to lose little, enough to keep all of them busy. */
const BUSY_ROUNDS = 2;

interface EvaluateFlags extends SampleFlags, AnswerFlags, MachineFlags {
  readonly seed: number;
  readonly candidates?: string;
  readonly from?: string;
  readonly metric: string;
  readonly confidence: number;
  readonly json?: string;
  readonly force?: true;
  readonly speed?: true;
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
      "nll, choice, exact, numeric, f1, rouge-l, bleu, chrf, or a module such as ./mine.mjs",
      NLL_METRIC,
    )
    .option("--confidence <level>", "of all bounds together", decimal, 0.95)
    .option("--seed <n>", "of everything random", integer, 0)
    .addOption(jsonOption())
    .option("--speed", "measure prompts, writing, file size and load time of base, full and candidates side by side")
    .option("--force", "write over an existing result file");
  addAnswerOptions(addSampleOptions(command));
  addMachineOptions(command).addHelpText("after", EXAMPLES);
}

export async function run(args: readonly string[], flags: EvaluateFlags, context: CommandContext): Promise<number> {
  const [base = "", source = "", samplesPath = ""] = args;
  const { signal, progress } = context;
  const inputs = [base, source, samplesPath, ...(flags.from === undefined ? [] : [flags.from])];
  const json = { target: flags.json, inputs, force: flags.force ?? false };
  await requireJsonTarget(json);
  // What is mistyped must not wait for a model to load.
  const names = flags.metric.split(",").map((name) => name.trim());
  const metrics = await Promise.all(names.filter((name) => !BY_LOSS.includes(name)).map((name) => loadMetric(name)));
  const choice = flags.from === undefined ? null : await readResult(flags.from);
  const reading = await readingOptions(flags);

  await using model = await openModel(base, deviceOptions(flags), context);
  const candidates = candidatesOf(flags, choice, model.layers);
  const samples = await readSamples(samplesPath, model, { ...reading, signal });
  for (const notice of samples.notices) context.stderr(`Notice: ${printable(notice)}`);
  // A row without references is told before anything is written, not after.
  const referenced = metrics.length > 0 ? withReferences(samples) : [];
  for (const metric of metrics) requireMetric(metric, referenced);
  const chosenOn =
    choice === null || flags.from === undefined
      ? null
      : { path: flags.from, sharedLines: sharedLines(samples, choice) };
  const warning = chosenOnSentence({ chosenOn, data: { samples: samples.samples.length } });
  if (warning !== "") context.stderr(printable(warning));

  await using adapter = await model.loadAdapter(source, { signal });
  const choosing = names.includes(CHOICE_METRIC) ? withChoices(samples) : null;
  const losses = names.includes(NLL_METRIC)
    ? await lossesOf(adapter, samples.samples, candidates, flags, context)
    : null;
  const choices =
    choosing === null
      ? null
      : (await lossesOf(adapter, allChoices(choosing), candidates, flags, context)).map((column) =>
          choiceScores(choosing, column),
        );
  const batches = answerBatches(samples.samples.length, flags.seed, undefined, BUSY_ROUNDS * (flags.sequences ?? 16));
  const written =
    metrics.length === 0
      ? null
      : await writeAnswers(
          adapter,
          samples,
          candidates,
          { metrics, samples: referenced },
          batches,
          answerOptions(flags),
          {
            signal,
            onProgress: (done, total) => {
              progress.update({ label: "Writing answers", done, total, secondsLeft: null });
            },
          },
        );
  const stopped = written?.stopped ?? null;
  const answered = written === null || stopped === null ? samples : someOf(samples, written.samples);
  if (stopped !== null && answered.groups < 2) {
    context.stderr("Nothing is known yet: fewer than two samples were answered by all candidates.");
    throw stopped;
  }
  const speed =
    flags.speed === true && stopped === null ? await measureSpeeds(adapter, samples, candidates, flags, context) : null;
  progress.done();
  const evaluated = evaluate(
    {
      model: { path: model.path },
      adapter: { path: adapter.path, coveredLayers: adapter.file.layers },
      ...{ samples: answered, candidates, metrics, answers: written?.answers ?? null },
      losses: losses === null ? null : columnsOf(losses, written?.samples),
      choices: choices === null ? null : columnsOf(choices, written?.samples),
    },
    {
      ...{ confidence: flags.confidence, seed: flags.seed, notices: written?.notices ?? [] },
      chosenOn: choice && chosenOn && { ...chosenOn, sharedLines: sharedLines(answered, choice) },
      partial: stopped && {
        ofSamples: samples.samples.length,
        cause: stopped instanceof CancelledError ? "cancelled" : "failed",
      },
      command: ["lora-boundary", ...context.argv],
    },
  );
  const result = speed === null ? evaluated : { ...evaluated, speed };
  await deliver(result, () => renderEvaluation(result, context.style), json, context);
  if (stopped !== null) throw stopped;
  return 0;
}

/** Of some samples, by index; default all. */
function columnsOf(columns: readonly Float64Array[], samples?: readonly number[]): readonly Float64Array[] {
  if (samples === undefined) return columns;
  return columns.map((column) => Float64Array.from(samples, (sample) => column[sample] ?? NaN));
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
  samples: readonly Sample[],
  candidates: readonly NamedScales[],
  flags: EvaluateFlags,
  { signal, progress }: CommandContext,
): Promise<readonly Float64Array[]> {
  // Scoring reads the strengths alone: the family is a candidate's place in a search, and here is none.
  const vectors = candidates.map((candidate) => ({ ...candidate, family: "boundary" as const }));
  return adapter.score(samples, vectors, {
    ...sessionOptions(flags),
    signal,
    onProgress: ({ done, total }) => {
      progress.update({ label: "Scoring", done, total, secondsLeft: null });
    },
  });
}
