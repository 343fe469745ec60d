import { MetadataValue } from "../gguf/metadata.js";
import type { Verdict } from "../result.js";

const PREFIX = "lora_boundary.";
const SOURCE_PREFIX = `${PREFIX}source.`;

/**
 * What a calibration says of the candidate that a file was written from; the keys are the file's, without
 * `lora_boundary.judged.`. A verdict alone says nothing: it holds for a margin, on samples.
 */
export interface Claim {
  /** Against the full adapter. Goes by `lora_boundary.verdict`. */
  readonly verdict: Verdict;
  readonly objective: string;
  readonly margin: number;
  readonly confidence: number;
  /** How many it was scored on. */
  readonly samples: number;
  /** Of the samples file. */
  readonly data_sha256: string;
  /** On the guard set, where it was examined there; else the key is left out. */
  readonly guard?: Verdict | undefined;
  /** The adapter was trained on these samples; the key is left out where it is not known to be. */
  readonly in_sample: boolean;
}

/** How a written adapter came to be; the keys are the file's, without `lora_boundary.`. */
export interface Provenance {
  /** Of this package. */
  readonly version: string;
  /** Of the file it was cut from; see {@link fingerprintOf}. */
  readonly source_fingerprint: string;
  /** The full hash, where the caller had it anyway. */
  readonly source_sha256?: string | undefined;
  /** Layers of the base model that still have LoRA. */
  readonly kept_layers: readonly number[];
  /** Name of the candidate. */
  readonly candidate: string;
  /** Effective strengths, as the grammar writes them. */
  readonly layer_scales: string;
  /** `adapter.lora.alpha` of the source was multiplied by it. */
  readonly alpha_scale: number;
  /** Pairs with a strength of their own multiplied into B; the key is left out where there are none. */
  readonly baked_pairs: number;
  /** Ranks were padded to a multiple of it; the key is left out at 1. */
  readonly padded_rank: number;
  /** Absent where nothing has judged it. */
  readonly claim?: Claim | undefined;
}

/**
 * Adds provenance to an adapter's metadata. Everything else stays in its order, type and bytes.
 *
 * The rule for adapters that this tool has written before: the keys of the last step always describe that step, and
 * what the source said of its own making moves one level down, unchanged, under `lora_boundary.source.`. So
 * `lora_boundary.source.candidate` is how the source was made, `lora_boundary.source.source.candidate` how the
 * source's source was, down to the adapter that the tool had not touched.
 */
export function withProvenance(
  metadata: ReadonlyMap<string, MetadataValue>,
  provenance: Provenance,
): Map<string, MetadataValue> {
  const result = new Map<string, MetadataValue>();
  for (const [key, value] of metadata) {
    result.set(key.startsWith(PREFIX) ? SOURCE_PREFIX + key.slice(PREFIX.length) : key, value);
  }
  result.set(`${PREFIX}version`, MetadataValue.string(provenance.version));
  result.set(`${PREFIX}source_fingerprint`, MetadataValue.string(provenance.source_fingerprint));
  if (provenance.source_sha256 !== undefined) {
    result.set(`${PREFIX}source_sha256`, MetadataValue.string(provenance.source_sha256));
  }
  result.set(`${PREFIX}kept_layers`, MetadataValue.u32Array(provenance.kept_layers));
  result.set(`${PREFIX}candidate`, MetadataValue.string(provenance.candidate));
  result.set(`${PREFIX}layer_scales`, MetadataValue.string(provenance.layer_scales));
  result.set(`${PREFIX}alpha_scale`, MetadataValue.f64(provenance.alpha_scale));
  if (provenance.baked_pairs > 0) result.set(`${PREFIX}baked_pairs`, MetadataValue.u32(provenance.baked_pairs));
  if (provenance.padded_rank > 1) result.set(`${PREFIX}padded_rank`, MetadataValue.u32(provenance.padded_rank));
  for (const [key, value] of claimEntries(provenance.claim)) result.set(PREFIX + key, value);
  return result;
}

function claimEntries(claim: Claim | undefined): readonly (readonly [key: string, value: MetadataValue])[] {
  if (claim === undefined) return [];
  const { verdict, objective, margin, confidence, samples, data_sha256, guard, in_sample } = claim;
  return [
    ["verdict", MetadataValue.string(verdict)],
    ["judged.objective", MetadataValue.string(objective)],
    ["judged.margin", MetadataValue.f64(margin)],
    ["judged.confidence", MetadataValue.f64(confidence)],
    ["judged.samples", MetadataValue.u32(samples)],
    ["judged.data_sha256", MetadataValue.string(data_sha256)],
    ...(guard === undefined ? [] : [["judged.guard", MetadataValue.string(guard)] as const]),
    ...(in_sample ? [["judged.in_sample", MetadataValue.bool(true)] as const] : []),
  ];
}

/** The provenance keys of a file with their values, in file order; empty where this tool has not written it. */
export function provenanceOf(metadata: ReadonlyMap<string, MetadataValue>): Record<string, unknown> {
  return Object.fromEntries(
    [...metadata].filter(([key]) => key.startsWith(PREFIX)).map(([key, value]) => [key, value.decode()]),
  );
}
