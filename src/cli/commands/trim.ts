import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { requireTarget } from "../../gguf/target-file.js";
import { localPathOf } from "../../hub/local-path.js";
import { readAdapter } from "../../lora/adapter-file.js";
import { parseKeep } from "../../lora/keep.js";
import { readLayerPresets } from "../../lora/layer-presets.js";
import { writeAdapter } from "../../lora/trim.js";
import { readModel } from "../../lora/model-file.js";
import { adapterPathOf } from "../../peft/adapter-path.js";
import { requirePeft, writePeft } from "../../peft/from-gguf.js";
import { printable } from "../../report/text.js";
import { renderTrim, type TrimOrigin } from "../../report/trim.js";
import { requireAdapterOf } from "../../results/is-of-adapter.js";
import { readResult } from "../../results/read-result.js";
import { triedCandidate } from "../../results/tried-candidate.js";
import type { CommandContext } from "../context.js";
import { downloading } from "../downloading.js";
import { examples } from "../help.js";
import { integer } from "../numbers.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";

interface TrimFlags {
  readonly keep?: string;
  readonly from?: string;
  readonly candidate?: string;
  readonly presets?: string;
  readonly padRank?: number;
  readonly base?: string;
  readonly peft?: string;
  readonly output?: string;
  readonly force?: true;
  readonly json?: string;
}

const EXAMPLES = examples(
  ["trim adapter.gguf --keep 0-17 -o small.gguf", "Keep LoRA in the layers 0 to 17"],
  ["trim adapter.gguf --keep without:2,7,22*1.45 -o small.gguf", "Drop three layers and boost the others"],
  ["trim adapter.gguf --keep 0-17=1,18-29=0.5 -o small.gguf", "Give layers strengths of their own"],
  ["trim adapter.gguf --from result.json -o small.gguf", "Write what calibrate --json has chosen"],
  [
    "trim adapter.gguf --from result.json --candidate upto:24 -o small.gguf",
    "Write another candidate that it has tried, labelled with its verdict",
  ],
  ["trim adapter.gguf --keep all --pad-rank 16 -o fast.gguf", "The same function, with faster prompts on a CPU"],
  ["trim adapter.gguf --keep 0-17 -o small.gguf --force --json trim.json", "Write over a file, and say so as JSON"],
);

export function configure(command: Command): void {
  command
    .description(
      "Write an adapter that keeps LoRA in some layers only. The others run as in the base model. Needs neither the " +
        "base model nor the addon; the file is read again and compared before it gets its name.",
    )
    .usage("<adapter> --keep <layers> -o <file> [options]")
    .argument("<adapter>", "GGUF LoRA adapter to read, or a PEFT folder with --base")
    .option(
      "--keep <layers>",
      "layers, counted from 0, or strengths: 0-17, 0-3,5,7-9, all, upto:18, from:5, window:5-27, without:2,7*1.45, " +
        "scale:0.75, 0-20=1,21-29=0.5, *=0.5, attention:0-10=0, ffn:3=0, or a preset's name",
    )
    .option("--from <result.json>", "in place of --keep: what calibrate --json has chosen for this very adapter")
    .option(
      "--candidate <id>",
      "with --from: any candidate that was tried, by its name; the file is labelled with its verdict",
    )
    .option("--presets <file>", 'JSON object of further names for --keep: {"light": "without:2,7*1.45"}')
    .option(
      "--pad-rank <n>",
      "pad every rank with zeros to a multiple of n: same function, 16 is faster on CPUs",
      integer,
    )
    .option("-o, --output <file>", "adapter to write")
    .option("--peft <folder>", "write it as a PEFT folder too; Llama, Mistral, SmolLM and Granite need --base for it")
    .option("--base <file>", "base model, where <adapter> is a PEFT folder or --peft needs it; only its header is read")
    .option("--force", "write over existing files, but never over the adapter that is read")
    .addOption(jsonOption())
    .addHelpText("after", EXAMPLES);
}

export async function run([given = ""]: readonly string[], flags: TrimFlags, context: CommandContext) {
  const { force = false } = flags;
  const { keep, output } = requireFlags(flags);
  const { signal } = context;
  const tried = flags.from === undefined ? null : await readTried(flags.from, flags.candidate);
  const base = flags.base === undefined ? undefined : await localPathOf(flags.base, downloading(context));
  const model = base === undefined ? undefined : await readModel(base);
  const { onProgress: onDownload } = downloading(context);
  const source =
    model === undefined
      ? await localPathOf(given, downloading(context))
      : await adapterPathOf(given, model, { signal, onDownload });
  context.progress.done();
  const json = { target: flags.json, inputs: [source, output, ...(tried === null ? [] : [tried.path])], force };
  const adapter = await readAdapter(source);
  const presets = flags.presets === undefined ? undefined : await readLayerPresets(flags.presets);
  const sourceSha256 = tried === null ? undefined : await requireAdapterOf(tried.result, tried.path, adapter, signal);
  const selection = tried?.scales ?? parseKeep(keep, adapter, presets);
  await requireTarget(output, [source], { force });
  if (flags.peft !== undefined) await requirePeft(adapter, flags.peft, { model, force });
  await requireJsonTarget(json);

  const written = await writeAdapter(source, selection, output, {
    ...{ force, signal, provenance: { sourceSha256, claim: tried?.claim } },
    ...(flags.padRank !== undefined && { padRank: flags.padRank }),
  });
  for (const notice of written.notices) context.stderr(`Notice: ${printable(notice)}`);
  const peft = flags.peft === undefined ? null : await writePeft(output, flags.peft, { model, force, signal });
  const kept = new Set((await readAdapter(output)).pairs.map(({ name }) => name));
  const droppedOutside = adapter.pairs
    .filter(({ place, name }) => place !== "layer" && !kept.has(name))
    .map(({ name }) => name);
  const from = tried && originOf(tried);
  const view = { written, peft, sourceParameters: adapter.parameters, droppedOutside, from };
  const result = {
    schema: "lora-boundary/trim@1",
    ...written,
    peft,
    sourceParameters: adapter.parameters,
    droppedOutside,
    from,
  };
  await deliver(result, () => renderTrim(view, context.style), json, context);
  return 0;
}

async function readTried(path: string, id: string | undefined) {
  const result = await readResult(path);
  return { path, result, ...triedCandidate(result, path, id) };
}

function originOf({ path, result, judged, claim, isSelected }: Awaited<ReturnType<typeof readTried>>): TrimOrigin {
  const { id, family, verdict, retention, samples } = judged;
  const { objective, margin, confidence, inSample = false } = result;
  const guard = claim?.guard ?? null;
  const judging = { verdict, guard, retention, samples, objective, margin, confidence, inSample };
  return { result: path, candidate: id, family, selected: isSelected, ...judging };
}

/** Asked here and not by the parser, which would call a mistyped option a missing one. */
function requireFlags({ keep, from, candidate, presets, output, json }: TrimFlags) {
  if (from !== undefined && (keep ?? presets) !== undefined) {
    const other = keep === undefined ? "presets" : "keep";
    throw flagError(
      "FROM",
      other,
      `Expected either \`--keep\` or \`--from\` but received \`--from ${from}\` and \`--${other}\`: a result brings its own strengths. Leave one of them out.`,
    );
  }
  if (candidate !== undefined && from === undefined) {
    throw flagError(
      "CANDIDATE",
      "candidate",
      `Expected \`--from\` with \`--candidate ${candidate}\`, the result that tried it; for strengths without a verdict use \`--keep\`.`,
    );
  }
  if (keep === undefined && from === undefined) {
    throw flagError(
      "KEEP",
      "keep",
      "Expected layers such as `0-17` for `--keep` but received nothing; add the option, or `--from result.json`.",
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
  return { keep: keep ?? "", output };
}

function flagError(code: string, option: string, message: string): UsageError {
  return new UsageError(`TRIM_${code}`, message, { details: { option } });
}
