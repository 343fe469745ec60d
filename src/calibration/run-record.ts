import { createHash } from "node:crypto";
import { scoredCount, type SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { engineFacts } from "../engine/backend.js";
import type { Batch } from "../engine/pack-batches.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { AnswerOptions } from "../evaluation/answer-writer.js";
import { checkGeneratorOptions } from "../generation/check-options.js";
import { packageVersion } from "../package-version.js";
import type { Family } from "../lora/candidate.js";
import type { CalibrationResult } from "../result.js";
import type { Unit } from "../search/scorer.js";
import type { FileIdentity } from "./file-identity.js";

/** One sample of a run, without its text. */
export interface RecordedSample {
  /** 1-based line in its file, or place in the array. */
  readonly line: number;
  readonly group: string;
  /** All tokens, the scored ones among them. */
  readonly tokens: number;
  readonly scored: number;
}

/** Everything that a result says of a run beside its answer. Plain JSON. */
export interface RunRecord {
  readonly model: CalibrationResult["model"];
  readonly adapter: CalibrationResult["adapter"];
  readonly data: Pick<CalibrationResult["data"], "path" | "sha256" | "seed" | "template" | "notices">;
  readonly samples: readonly RecordedSample[];
  readonly engine: Omit<CalibrationResult["engine"], "replay" | "loss">;
  /** Of all samples together, without sharing. */
  readonly tokens: number;
  /** Of them, what a plain pass computes: fewer where prompts begin alike. */
  readonly computedTokens: number;
  /** Parts of each layer that have a strength of their own. */
  readonly partsPerLayer: 1 | 2;
  /** What a subset search may drop. */
  readonly units: readonly Unit[];
}

/** @param identities of the base model and of the adapter */
export async function recordRun(
  adapter: Adapter,
  samples: SampleSet,
  session: ScoreSession,
  identities: { readonly model: FileIdentity; readonly adapter: FileIdentity },
): Promise<RunRecord> {
  const { file, placement } = adapter.model;
  const { llamaCpp } = await engineFacts();
  const { layers, rank, alpha, parameters, bytes } = adapter.file;
  const { path, sha256, seed, template } = samples;
  const { architecture, quantization } = file;
  return {
    model: { path: file.path, ...identities.model, architecture, layers: file.layers, quantization },
    adapter: { path: adapter.path, ...identities.adapter, layers, rank, alpha, parameters, bytes },
    data: {
      ...{ path, sha256, seed, template },
      notices: [...samples.notices, ...(placement.notice === null ? [] : [placement.notice])],
    },
    samples: samples.samples.map((sample) => ({
      line: sample.line,
      group: sample.group,
      tokens: sample.tokens.length,
      scored: scoredCount(sample),
    })),
    engine: {
      llamaCpp,
      backend: placement.backend,
      threads: session.threads,
      batchTokens: session.batchTokens,
      flashAttention: session.context.flashAttention,
      cacheTypeK: session.context.keyType,
      cacheTypeV: session.context.valueType,
    },
    tokens: session.tokens,
    computedTokens: session.batchLengths.reduce((sum, length) => sum + length, 0),
    partsPerLayer: adapter.partsPerLayer,
    units: adapter.units,
  };
}

/** What the scores of a run depend on, by the name that a message uses. Equal inputs give equal scores, bit for bit. */
export type RunInputs = Readonly<Record<string, string>>;

/** What a run asks of its samples, as far as it decides how they are scored. */
export interface SampleQuestion {
  /** Its name. */
  readonly objective?: string | undefined;
  readonly families?: readonly Family[] | undefined;
  readonly holdout?: number | undefined;
}

/** Of the samples alone; a run may have several sets. */
export function sampleInputs(
  { samples, sha256 }: SampleSet,
  session: ScoreSession,
  { objective = "nll", families = [], holdout }: SampleQuestion = {},
): RunInputs {
  const read = createHash("sha256");
  for (const { tokens, scored, group, line } of samples) {
    read
      .update(`${tokens.length} ${line} ${JSON.stringify(group)}\n`)
      .update(tokens)
      .update(scored);
  }
  const packing = createHash("sha256").update(JSON.stringify(session.batches)).digest("hex");
  return {
    samples: sha256,
    objective,
    "how samples are read (limit, seed, template, tokens)": read.digest("hex"),
    "seed (--seed)": String(session.seed),
    "samples kept apart (--families subset, --holdout)": families.includes("subset")
      ? `for a subset search, ${holdout ?? "two halves"}`
      : "none",
    "shared prefixes": session.sharesPrefixes ? "computed once per batch" : "not shared",
    "packing (--batch-tokens)": `${session.batchTokens} tokens, ${packing}`,
  };
}

/** Of answers alone, beside what decides the losses of the same samples. */
export function answerInputs(options: AnswerOptions, batches: readonly Batch[]): RunInputs {
  const { maxTokens, stop, sequences, drafts, batchTokens, contextTokens, threads } = checkGeneratorOptions(options);
  return {
    "tokens of an answer (--answer-tokens)": String(maxTokens),
    "texts that end an answer (--stop)": stop.length === 0 ? "none" : JSON.stringify(stop),
    "answers at the same time (--sequences)": String(sequences),
    "drafts (--no-drafts)": drafts ? "verified" : "none",
    "tokens of a step (--batch-tokens)": String(batchTokens),
    "context of an answer": contextTokens === undefined ? "the model's" : String(contextTokens),
    "threads of answers": String(threads),
    "samples that are answered together": createHash("sha256").update(JSON.stringify(batches)).digest("hex"),
  };
}

/** Of everything else. */
export async function machineInputs(
  adapter: Adapter,
  session: ScoreSession,
  { model, adapter: source }: Pick<RunRecord, "model" | "adapter">,
): Promise<RunInputs> {
  const { llamaCpp, systemInfo } = await engineFacts();
  const { backend, devices, gpuLayers } = adapter.model.placement;
  return {
    "base model": model.fingerprint,
    adapter: source.sha256,
    "lora-boundary": packageVersion,
    "llama.cpp": llamaCpp,
    "device (--gpu, --device, --gpu-layers)": [backend, ...devices, gpuLayers].join(", "),
    "context (--flash-attn, --cache-type-k, --cache-type-v, --loss)": [
      session.context.flashAttention,
      session.context.keyType,
      session.context.valueType,
      session.context.lossInGraph ? "graph" : "host",
    ].join(", "),
    "what has a strength of its own (--per)": adapter.per,
    "rank padding": String(adapter.rankMultiple),
    "LoRA products": adapter.fusedLora ? "fused" : "llama.cpp",
    threads: String(session.threads),
    processor: systemInfo,
  };
}

/** Names of the inputs in which two runs differ, each with both values, shortened. */
export function differences(recorded: RunInputs, now: RunInputs): readonly string[] {
  return Object.keys({ ...recorded, ...now })
    .filter((name) => recorded[name] !== now[name])
    .map((name) => `${name} (${shortened(recorded[name])} then, ${shortened(now[name])} now)`);
}

/** A value in a message: of a hash at its end only the beginning. */
export function shortened(value = "none"): string {
  const hash = /[0-9a-f]{64}$/.exec(value);
  if (hash !== null) return value.slice(0, hash.index + 12);
  return value.length <= 60 ? value : `${value.slice(0, 57)}...`;
}
