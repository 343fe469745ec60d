import { UsageError } from "../errors.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { fingerprintOf } from "../gguf/hash-file.js";
import { MetadataValue } from "../gguf/metadata.js";
import { writeGguf } from "../gguf/write-gguf.js";
import { packageVersion } from "../package-version.js";
import { ALPHA_KEY, readAdapter, type AdapterFile } from "./adapter-file.js";
import type { Candidate } from "./candidate.js";
import { formatLayers } from "./layer-ranges.js";
import { placeOf } from "./lora-pair.js";
import { withProvenance } from "./provenance.js";

/** What to keep; every {@link Candidate} is one. Each scale must be 0 or the one strength that all kept pairs share. */
export interface LayerSelection {
  /** Goes into the file's provenance; default `keep:` and the kept layers. */
  readonly id?: string;
  /** One per layer, at least up to the adapter's highest. */
  readonly layerScales: readonly number[];
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
  readonly verify?: (path: string) => Promise<void>;
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
  /** Strength of the kept pairs: written alpha / source alpha, before rounding to the file's f32. */
  readonly alphaScale: number;
  /** Header and every tensor byte were re-read and compared before the file got its name. */
  readonly verified: true;
}

/**
 * Writes a smaller adapter: pairs at scale 0 are left out, the common strength of the others is multiplied into
 * `adapter.lora.alpha`, tensor bytes and all other metadata stay as they are. The same inputs give the same bytes.
 * Tensors that are not part of a pair (norms, unknown ones) go with their layer, and stay if they belong to none.
 * A file of several GB is streamed and takes about as long as a copy.
 *
 * @param source path of the adapter
 * @throws InputError see {@link readAdapter}
 * @throws UsageError SELECTION_LENGTH, SELECTION_SCALE, SELECTION_MIXED, SELECTION_EMPTY, TARGET_EXISTS,
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
  const content = { version: adapter.gguf.version, metadata, tensors: plan.tensors };
  const { bytes } = await writeGguf(target, content, options);
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
    verified: true,
  };
}

interface TrimPlan extends Pick<
  WrittenAdapter,
  "parameters" | "keptLayers" | "droppedLayers" | "alpha" | "alphaScale"
> {
  /** In source order, so that neighbours are copied as one stretch. */
  readonly tensors: readonly TensorDescriptor[];
}

function planTrim(adapter: AdapterFile, selection: LayerSelection): TrimPlan {
  requireScales(adapter, selection);
  const { layerScales } = selection;
  const keptLayers = adapter.layers.filter((layer) => layerScales[layer] !== 0);
  const droppedLayers = adapter.layers.filter((layer) => layerScales[layer] === 0);
  const layerStrength = keptLayers.length > 0 ? (layerScales[keptLayers[0] ?? 0] ?? 0) : 0;
  const scaleOf = (name: string): number => {
    const { place, layer } = placeOf(name);
    if (layer !== null) return layerScales[layer] ?? 0;
    if (place === "input") return selection.inputScale ?? layerStrength;
    return selection.outputScale ?? (droppedLayers.length === 0 ? layerStrength : 0);
  };

  const keptPairs = adapter.pairs.filter(({ name }) => scaleOf(name) !== 0);
  const [alphaScale, other] = new Set(keptPairs.map(({ name }) => scaleOf(name)));
  if (alphaScale === undefined) {
    throw selectionError(
      "EMPTY",
      "Expected at least one kept pair but the selection drops all of them: that is the base model, which needs no adapter.",
    );
  }
  if (other !== undefined) {
    throw selectionError(
      "MIXED",
      `Expected every scale to be 0 or one common strength but received ${alphaScale} and ${other}; different strengths in one file cannot be written yet.`,
    );
  }
  const alpha = Math.fround(adapter.alpha * alphaScale);
  if (alpha === 0 || !Number.isFinite(alpha)) {
    throw selectionError(
      "SCALE",
      `Alpha ${adapter.alpha} times the strength ${alphaScale} is out of range for an f32.`,
    );
  }
  const kept = new Set(keptPairs);
  const dropped = new Set(adapter.pairs.filter((pair) => !kept.has(pair)).flatMap(({ a, b }) => [a, b]));
  const isKept = (tensor: TensorDescriptor) => {
    const { layer } = placeOf(tensor.name);
    return !dropped.has(tensor) && (layer === null || layerScales[layer] !== 0);
  };
  return {
    tensors: adapter.gguf.tensors.filter(isKept),
    parameters: keptPairs.reduce((sum, pair) => sum + pair.parameters, 0),
    keptLayers,
    droppedLayers,
    alpha,
    alphaScale,
  };
}

function requireScales(adapter: AdapterFile, { layerScales, inputScale = 1, outputScale = 1 }: LayerSelection): void {
  const highest = adapter.layers.at(-1) ?? -1;
  if (layerScales.length <= highest) {
    throw selectionError(
      "LENGTH",
      `Expected a scale for each layer up to ${highest}, the adapter's highest, but received ${layerScales.length} scales.`,
    );
  }
  const bad = [...layerScales, inputScale, outputScale].find((scale) => !Number.isFinite(scale));
  if (bad !== undefined) throw selectionError("SCALE", `Expected finite scales but received ${bad}.`);
}

function selectionError(code: string, message: string): UsageError {
  return new UsageError(`SELECTION_${code}`, message, { details: { option: "selection" } });
}
