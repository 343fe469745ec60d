import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../errors.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { fingerprintOf } from "../gguf/hash-file.js";
import { MetadataValue } from "../gguf/metadata.js";
import { writeGguf } from "../gguf/write-gguf.js";
import { packageVersion } from "../package-version.js";
import { ALPHA_KEY, readAdapter, type AdapterFile } from "./adapter-file.js";
import type { Candidate } from "./candidate.js";
import { formatLayers } from "./layer-ranges.js";
import { partOf, placeOf, type LoraPair, type Part } from "./lora-pair.js";
import { withProvenance } from "./provenance.js";
import { canScale, roundingOf, typeAfterScaling, writeScaled, type ScaledFactor } from "./scale-factors.js";

/** What to keep, and how strong; every {@link Candidate} is one. */
export interface LayerSelection {
  /** Goes into the file's provenance; default `keep:` and the kept layers. */
  readonly id?: string;
  /** One per layer, at least up to the adapter's highest. */
  readonly layerScales: readonly number[];
  /** Of the feed-forward pairs, as long; default: as `layerScales`, which else are those of the attention pairs. */
  readonly feedForwardScales?: readonly number[];
  /** For pairs below layer 0 (`token_embd`); default: the strength of the kept layers. */
  readonly inputScale?: number;
  /** For pairs above the last layer (`output`); default: the strength of the kept layers if none is dropped, else 0. */
  readonly outputScale?: number;
}

export interface WriteAdapterOptions {
  /** Write over an existing file; never over the input. Default false. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /** A last check of the finished file, given its temporary path; where it throws, nothing is written. */
  readonly verify?: (path: string, facts: { readonly rounding: number }) => Promise<void>;
  readonly provenance?: {
    /** SHA-256 of the source, where known; without it the file names its source by fingerprint only. */
    readonly sourceSha256?: string;
  };
}

export interface WrittenAdapter {
  readonly path: string;
  readonly bytes: number;
  /** Elements of all kept pairs. */
  readonly parameters: number;
  /** Of the layers that the source has LoRA in, ascending. */
  readonly keptLayers: readonly number[];
  readonly droppedLayers: readonly number[];
  readonly keptTensors: number;
  readonly droppedTensors: number;
  readonly source: { readonly path: string; readonly bytes: number; readonly fingerprint: string };
  /** As written. */
  readonly alpha: number;
  /** Commonest strength of the kept pairs: written alpha / source alpha, before rounding to the file's f32. */
  readonly alphaScale: number;
  /** `lora_b` tensors whose elements were multiplied, because their strength is another. */
  readonly scaledTensors: number;
  /** Largest relative error of those products and of alpha; 0: the file computes with the very numbers of its source. */
  readonly rounding: number;
  /** What was converted to another type, in words. */
  readonly notices: readonly string[];
  /** Header and every tensor byte were re-read and compared before the file got its name. */
  readonly verified: true;
}

/**
 * Writes a smaller adapter: pairs at scale 0 are left out, the commonest strength of the others is multiplied into
 * `adapter.lora.alpha`, tensor bytes and all other metadata stay as they are. Pairs of another strength have it multiplied
 * into `lora_b`, in its own type; a quantised `lora_b` becomes F16 then. The same inputs give the same bytes.
 * Tensors that are not part of a pair (norms, unknown ones) go with their layer, and stay if they belong to none.
 * A file of several GB is streamed and takes about as long as a copy.
 *
 * @param source path of the adapter
 * @throws InputError see {@link readAdapter}
 * @throws UsageError SELECTION_LENGTH, SELECTION_SCALE, SELECTION_TYPE, SELECTION_EMPTY, TARGET_EXISTS,
 *   TARGET_IS_INPUT, TARGET_IS_FOLDER
 * @throws BackendError TARGET_UNWRITABLE, TARGET_FULL; VerificationError; CancelledError
 */
export async function writeAdapter(
  source: string,
  selection: LayerSelection | Candidate,
  target: string,
  options: WriteAdapterOptions = {},
): Promise<WrittenAdapter> {
  const adapter = await readAdapter(source);
  const plan = planTrim(adapter, selection);
  const fingerprint = await fingerprintOf(adapter.gguf);
  const metadata = withProvenance(adapter.gguf.metadata, {
    version: packageVersion,
    source_fingerprint: fingerprint,
    source_sha256: options.provenance?.sourceSha256,
    kept_layers: plan.keptLayers,
    candidate: selection.id ?? `keep:${formatLayers(plan.keptLayers)}`,
    alpha_scale: plan.alphaScale,
  });
  // Setting an existing key leaves it at its place.
  metadata.set(ALPHA_KEY, MetadataValue.f32(plan.alpha));
  const { verify, ...writing } = options;
  const { rounding } = plan;
  const bytes = await withScaled(plan.scaled, async (scaled) => {
    const tensors = plan.tensors.map((tensor) => scaled.get(tensor) ?? tensor);
    const content = { version: adapter.gguf.version, metadata, tensors };
    const check = verify && ((path: string) => verify(path, { rounding }));
    return (await writeGguf(target, content, { ...writing, ...(check && { verify: check }) })).bytes;
  });
  const keptTensors = plan.tensors.length;
  return {
    path: target,
    bytes,
    parameters: plan.parameters,
    keptLayers: plan.keptLayers,
    droppedLayers: plan.droppedLayers,
    keptTensors,
    droppedTensors: adapter.gguf.tensors.length - keptTensors,
    source: { path: source, bytes: adapter.bytes, fingerprint },
    alpha: plan.alpha,
    alphaScale: plan.alphaScale,
    scaledTensors: plan.scaled.length,
    rounding,
    notices: plan.notices,
    verified: true,
  };
}

interface TrimPlan extends Pick<
  WrittenAdapter,
  "parameters" | "keptLayers" | "droppedLayers" | "alpha" | "alphaScale" | "rounding" | "notices"
> {
  /** In source order, so that neighbours are copied as one stretch. */
  readonly tensors: readonly TensorDescriptor[];
  readonly scaled: readonly ScaledFactor[];
}

function planTrim(adapter: AdapterFile, selection: LayerSelection): TrimPlan {
  requireScales(adapter, selection);
  const { layerScales, feedForwardScales = layerScales } = selection;
  const scaleIn = (layer: number, part: Part) => (part === "ffn" ? feedForwardScales : layerScales)[layer] ?? 0;
  const isOn = (layer: number) => scaleIn(layer, "attention") !== 0 || scaleIn(layer, "ffn") !== 0;
  const keptLayers = adapter.layers.filter(isOn);
  const droppedLayers = adapter.layers.filter((layer) => !isOn(layer));
  const firstKept = keptLayers[0] ?? 0;
  const layerStrength = keptLayers.length === 0 ? 0 : layerScales[firstKept] || scaleIn(firstKept, "ffn");
  const scaleOf = ({ place, layer, module }: LoraPair): number => {
    if (layer !== null) return scaleIn(layer, partOf(module));
    if (place === "input") return selection.inputScale ?? layerStrength;
    return selection.outputScale ?? (droppedLayers.length === 0 ? layerStrength : 0);
  };

  const keptPairs = adapter.pairs.filter((pair) => scaleOf(pair) !== 0);
  const alphaScale = commonest(keptPairs.map(scaleOf));
  if (alphaScale === null) {
    throw selectionError(
      "EMPTY",
      "Expected at least one kept pair but the selection drops all of them: that is the base model, which needs no adapter.",
    );
  }
  const alpha = Math.fround(adapter.alpha * alphaScale);
  if (alpha === 0 || !Number.isFinite(alpha)) {
    throw selectionError(
      "SCALE",
      `Alpha ${adapter.alpha} times the strength ${alphaScale} is out of range for an f32.`,
    );
  }
  const scaled = keptPairs.flatMap((pair) =>
    scaleOf(pair) === alphaScale ? [] : [{ tensor: pair.b, scale: scaleOf(pair) / alphaScale }],
  );
  const fixed = scaled.find(({ tensor }) => !canScale(tensor.type));
  if (fixed !== undefined) {
    throw selectionError(
      "TYPE",
      `Expected one strength for all kept pairs, since \`${fixed.tensor.name}\` is stored as ${fixed.tensor.type.name}, which cannot be multiplied; convert the adapter to F16 or F32 first.`,
    );
  }
  const kept = new Set(keptPairs);
  const dropped = new Set(adapter.pairs.filter((pair) => !kept.has(pair)).flatMap(({ a, b }) => [a, b]));
  const isKept = (tensor: TensorDescriptor) => {
    const { layer } = placeOf(tensor.name);
    return !dropped.has(tensor) && (layer === null || isOn(layer));
  };
  return {
    tensors: adapter.gguf.tensors.filter(isKept),
    scaled,
    rounding: Math.max(
      alpha === adapter.alpha * alphaScale ? 0 : 2 ** -24,
      ...scaled.map(({ tensor }) => roundingOf(typeAfterScaling(tensor.type))),
    ),
    notices: conversionNotices(scaled),
    parameters: keptPairs.reduce((sum, pair) => sum + pair.parameters, 0),
    keptLayers,
    droppedLayers,
    alpha,
    alphaScale,
  };
}

/** Of equally common ones the first; null of none. */
function commonest(scales: readonly number[]): number | null {
  const counts = new Map<number, number>();
  for (const scale of scales) counts.set(scale, (counts.get(scale) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? null;
}

function conversionNotices(scaled: readonly ScaledFactor[]): readonly string[] {
  const converted = scaled.filter(({ tensor }) => typeAfterScaling(tensor.type) !== tensor.type);
  if (converted.length === 0) return [];
  const types = [...new Set(converted.map(({ tensor }) => tensor.type.name))].join(", ");
  return [
    `${converted.length} of the lora_b tensors were stored as ${types} and are written as F16, because their strength differs from that of the others.`,
  ];
}

/** Multiplied factors lie in a temporary file while the adapter is written. */
async function withScaled<Result>(
  factors: readonly ScaledFactor[],
  write: (scaled: ReadonlyMap<TensorDescriptor, TensorDescriptor>) => Promise<Result>,
): Promise<Result> {
  if (factors.length === 0) return await write(new Map());
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-"));
  try {
    return await write(await writeScaled(factors, join(folder, "scaled")));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function requireScales(adapter: AdapterFile, selection: LayerSelection): void {
  const { layerScales, feedForwardScales = layerScales, inputScale = 1, outputScale = 1 } = selection;
  const highest = adapter.layers.at(-1) ?? -1;
  const shortest = Math.min(layerScales.length, feedForwardScales.length);
  if (shortest <= highest) {
    throw selectionError(
      "LENGTH",
      `Expected a scale for each layer up to ${highest}, the adapter's highest, but received ${shortest} scales.`,
    );
  }
  const bad = [...layerScales, ...feedForwardScales, inputScale, outputScale].find((scale) => !Number.isFinite(scale));
  if (bad !== undefined) throw selectionError("SCALE", `Expected finite scales but received ${bad}.`);
}

function selectionError(code: string, message: string): UsageError {
  return new UsageError(`SELECTION_${code}`, message, { details: { option: "selection" } });
}
