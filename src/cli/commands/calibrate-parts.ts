import type { ReadSamplesOptions } from "../../data/options.js";
import { readSamples } from "../../data/read-samples.js";
import { identify } from "../../calibration/file-identity.js";
import { mergeParts } from "../../calibration/merge.js";
import { readPart, type PartFile } from "../../calibration/read-part.js";
import { differences, sampleInputs } from "../../calibration/run-record.js";
import type { CalibrationPart, RecordedJudging, Shard } from "../../calibration/shard.js";
import { writeVerified } from "../../calibration/write-verified.js";
import type { DeviceOptions } from "../../engine/devices.js";
import { loadModel } from "../../engine/model.js";
import type { ScoreSessionOptions } from "../../engine/session-types.js";
import { InputError, UsageError } from "../../errors.js";
import { count, duration, plural } from "../../report/numbers.js";
import { printable } from "../../report/text.js";
import type { CalibrationResult } from "../../result.js";
import { claimOf } from "../../results/tried-candidate.js";
import { requireOutput, tellOutcome } from "../calibration-outcome.js";
import type { CommandContext } from "../context.js";
import { requireJsonTarget, type JsonRequest } from "../json-output.js";
import { requirePageTarget, type PageRequest } from "../page-output.js";
import { InvalidArgumentError } from "commander";

/** Reads `2/3`. */
export function shardOf(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Give the part and the number of parts, such as 2/3.");
  return { index: Number(match[1]), of: Number(match[2]) };
}

/** @throws UsageError SHARD_JSON, SHARD_OUTPUT */
export function requireShardTargets(json: string | undefined, output: string | undefined): void {
  if (output !== undefined) {
    throw new UsageError(
      "SHARD_OUTPUT",
      "Expected no `--output` with `--shard` but received one: a part proves nothing; give it to --merge.",
      { details: { option: "output" } },
    );
  }
  if (json !== undefined) return;
  throw new UsageError(
    "SHARD_JSON",
    "Expected `--json` with `--shard`, for the scores of this part, but received nothing; give a name such as part1.json.",
    { details: { option: "json" } },
  );
}

/** What a part holds, one line. */
export function renderPart({ shard, batches, packing, candidates, seconds, record }: CalibrationPart): string {
  const samples = batches.reduce((sum, batch) => sum + (packing[batch]?.samples.length ?? 0), 0);
  return `Part ${shard.index}/${shard.of}: ${plural(candidates.length, "candidate")} on ${count(samples)} of ${plural(record.samples.length, "sample")} in ${duration(seconds)}. When all parts are there: lora-boundary calibrate --merge FILES`;
}

export interface MergeFlags {
  readonly merge: readonly string[];
  readonly output: string | undefined;
  readonly json: string | undefined;
  readonly report: string | undefined;
  readonly force: boolean;
  readonly judging: RecordedJudging;
  readonly device: DeviceOptions;
  readonly session: ScoreSessionOptions;
}

/** `calibrate --merge`: base model, adapter and samples are needed only where a file is to be written. */
export async function runMerge(flags: MergeFlags, context: CommandContext): Promise<number> {
  const { output, force } = flags;
  const json: JsonRequest = {
    target: flags.json,
    inputs: [...flags.merge, ...(output === undefined ? [] : [output])],
    force,
  };
  await requireJsonTarget(json);
  const page: PageRequest = { target: flags.report, inputs: json.inputs, force };
  await requirePageTarget(page);
  const parts = await Promise.all(flags.merge.map((path) => readPart(path)));
  const [first] = parts;
  if (output !== undefined && first !== undefined) {
    const { model, adapter, data } = first.record;
    await requireOutput(output, flags.json, [...flags.merge, model.path, adapter.path, data.path ?? ""], force);
  }
  const result = await mergeParts(parts, {
    ...flags.judging,
    ...(force && { force }),
    command: ["lora-boundary", ...context.argv],
  });
  const write =
    output === undefined || first === undefined
      ? null
      : (merged: CalibrationResult) => writeMerged(merged, first, output, flags, context);
  return tellOutcome(result, write, { json, page }, context);
}

async function writeMerged(
  result: CalibrationResult,
  part: PartFile,
  target: string,
  { force, device, session }: MergeFlags,
  { signal, stderr }: CommandContext,
): Promise<CalibrationResult> {
  if (result.selected === null) return result;
  const { path } = result.data;
  if (path === null || part.reading === null) {
    throw new InputError(
      "PART_NO_SAMPLES",
      `${part.path}: the samples of this run came from memory, so the adapter cannot be checked against them; write it with \`trim --from\`.`,
    );
  }
  await using model = await loadModel(result.model.path, { ...device, signal });
  if (model.placement.notice !== null) stderr(`Notice: ${printable(model.placement.notice)}`);
  const { engine, partsPerLayer } = part.record;
  await using adapter = await model.loadAdapter(result.adapter.path, {
    ...{ signal, per: partsPerLayer === 2 ? "module" : "layer" },
  });
  const samples = await readSamples(path, model, { ...(part.reading as ReadSamplesOptions), signal });
  const { batchTokens } = engine;
  const { seed } = part.judging;
  await using packed = adapter.openSession(samples.samples, { ...session, batchTokens, seed });
  const now = {
    "base model": (await identify(model.file.shards)).fingerprint,
    adapter: (await identify([adapter.file.gguf], { hash: "full" })).sha256,
    ...sampleInputs(samples, packed, part),
  };
  const then = Object.fromEntries(Object.keys(now).map((name) => [name, part.inputs[name] ?? ""]));
  const changed = differences(then, now);
  if (changed.length > 0) {
    throw new InputError(
      "PART_FILES_CHANGED",
      `${part.path}: the files of this run have changed since it was scored: ${changed.join("; ")}. Nothing was written.`,
      { details: { differences: changed } },
    );
  }
  const output = await writeVerified(adapter, samples, result.selected.candidate, target, {
    ...{ ...session, batchTokens, force, signal },
    sourceSha256: result.adapter.sha256,
    claim: claimOf(result, result.selected.candidate.id),
  });
  return { ...result, output };
}
