import { Option, type Command } from "commander";
import type { Analysis } from "../../analysis/analysis.js";
import { layerEffects } from "../../analysis/layer-effects.js";
import { lens, noLensSentence } from "../../analysis/lens.js";
import { identify } from "../../calibration/file-identity.js";
import { readSamples } from "../../data/read-samples.js";
import { PER } from "../../engine/adapter.js";
import { UsageError } from "../../errors.js";
import { readAdapter, type AdapterFile } from "../../lora/adapter-file.js";
import { layerNorms } from "../../lora/layer-norms.js";
import { packageVersion } from "../../package-version.js";
import { renderAnalysis } from "../../report/analysis.js";
import { renderAnalysisPage } from "../../report/page/analysis-page.js";
import { printable } from "../../report/text.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { addMachineOptions, deviceOptions, sessionOptions, type MachineFlags } from "../machine-options.js";
import { decimal, integer } from "../numbers.js";
import { openModel } from "../open-model.js";
import { pageOption, requirePageTarget, writeText } from "../page-output.js";
import { addSampleOptions, readingOptions, type SampleFlags } from "../sample-options.js";

interface AnalyzeFlags extends SampleFlags, MachineFlags {
  readonly json?: string;
  readonly report?: string;
  readonly force?: true;
  readonly confidence: number;
  readonly per: "layer" | "module";
}

const EXAMPLES = examples(
  ["analyze adapter.gguf", "How much may each layer change, at once and without data"],
  ["analyze base.gguf adapter.gguf samples.jsonl --limit 32", "What does each layer do, with error bars"],
  ["analyze base.gguf adapter.gguf samples.jsonl --per module --report layers.html", "Attention or MLP, as a page"],
);

export function configure(command: Command): void {
  command
    .description(
      "Look at an adapter layer by layer. Without samples: the norm of what each layer writes, a guess. With base model " +
        "and samples: what leaving each layer out costs, what it gains alone, and what its output says already.",
    )
    .usage("[<base>] <adapter> [<samples>] [options]")
    .argument("<files...>", "the adapter alone, or base model, adapter and samples")
    .addOption(jsonOption())
    .addOption(pageOption())
    .option("--force", "write over existing files")
    .addOption(
      new Option("--per <unit>", "module: the attention and the feed-forward pairs of each layer as well")
        .choices(PER)
        .default("layer"),
    )
    .option("--confidence <level>", "of all bounds together", decimal, 0.95)
    .option("--seed <n>", "of everything random", integer, 0);
  addSampleOptions(command);
  addMachineOptions(command).addHelpText("after", EXAMPLES);
}

export async function run(files: readonly string[], flags: AnalyzeFlags, context: CommandContext): Promise<number> {
  const json = { target: flags.json, inputs: files, force: flags.force ?? false };
  requireConfidence(flags.confidence);
  await requireJsonTarget(json);
  const page = { target: flags.report, inputs: files, force: json.force };
  await requirePageTarget(page);
  const [first = "", second, third, ...more] = files;
  if (more.length > 0 || (second !== undefined && third === undefined)) {
    throw new UsageError(
      "ANALYZE_FILES",
      `Expected the adapter alone, or base model, adapter and samples, but received ${files.length} files.`,
      { details: { received: files.length } },
    );
  }
  const analysis =
    second === undefined || third === undefined
      ? await withoutData(await readAdapter(first), context)
      : await withData(first, second, third, flags, context);
  context.progress.done();
  await deliver(analysis, () => renderAnalysis(analysis, context.style), json, context);
  if (page.target !== undefined) await writeText(page.target, renderAnalysisPage(analysis), page);
  return 0;
}

function requireConfidence(confidence: number): void {
  if (confidence > 0 && confidence < 1) return;
  throw new UsageError(
    "CONFIDENCE_RANGE",
    `Expected a number between 0 and 1 for \`confidence\` but received ${confidence}.`,
    { details: { option: "confidence", received: confidence } },
  );
}

async function withoutData(adapter: AdapterFile, { argv, signal }: CommandContext): Promise<Analysis> {
  const { path, layers, rank, alpha } = adapter;
  const { fingerprint } = await identify([adapter.gguf]);
  const norms = await layerNorms(adapter, { signal });
  const skipped = norms.flatMap((norm) => norm.skipped);
  return {
    schema: "lora-boundary/analysis@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command: ["lora-boundary", ...argv],
    adapter: { path, fingerprint, layers, rank, alpha },
    model: null,
    data: null,
    norms,
    effects: null,
    lens: null,
    notices:
      skipped.length === 0 ? [] : [`The norms lack ${skipped.length} pairs of types that are not read: ${skipped[0]}.`],
  };
}

async function withData(
  base: string,
  source: string,
  path: string,
  flags: AnalyzeFlags,
  context: CommandContext,
): Promise<Analysis> {
  const { signal, progress } = context;
  const { confidence, seed, per } = flags;
  const reading = await readingOptions(flags);
  await using model = await openModel(base, deviceOptions(flags), context);
  const samples = await readSamples(path, model, { ...reading, signal });
  for (const notice of samples.notices) context.stderr(`Notice: ${printable(notice)}`);
  await using adapter = await model.loadAdapter(source, { signal, per, onDownload: downloading(context).onProgress });
  const analysis = await withoutData(adapter.file, context);
  const start = performance.now();
  const effects = await layerEffects(adapter, samples.samples, {
    ...{ confidence, seed, signal },
    ...sessionOptions(flags),
    onProgress: ({ done, total }) => {
      const elapsed = (performance.now() - start) / 1000;
      const secondsLeft = done > 0 ? (elapsed * (total - done)) / done : null;
      progress.update({ label: "Leaving layers out", done, total, secondsLeft });
    },
  });
  progress.update({ label: "Reading every layer", done: 0, total: 1, secondsLeft: null });
  const read = await lens(adapter, samples.samples, { ...sessionOptions(flags), seed, signal });
  const { layers, quantization } = model.file;
  return {
    ...analysis,
    model: { path: model.file.path, layers, quantization },
    data: { path: samples.path, sha256: samples.sha256, seed: samples.seed },
    effects,
    lens: read,
    notices: [...analysis.notices, ...samples.notices, ...(read === null ? [noLensSentence(model)] : [])],
  };
}
