import { UsageError } from "../errors.js";
import { fingerprintOf } from "../gguf/hash-file.js";
import { MetadataValue } from "../gguf/metadata.js";
import { requireTarget } from "../gguf/target-file.js";
import { writeGguf } from "../gguf/write-gguf.js";
import { packageVersion } from "../package-version.js";
import { ALPHA_KEY, readAdapter } from "./adapter-file.js";
import type { Candidate } from "./candidate.js";
import type { LayerScales } from "./layer-grammar.js";
import { formatLayers } from "./layer-ranges.js";
import { planTrim, type LayerSelection, type TrimPlan } from "./plan-trim.js";
import { withProvenance, type Claim } from "./provenance.js";
import { changedTensor, multipliedType, roundingOf } from "./tensor-change.js";

/** Far above every rank in use; a mistyped number must not fill the disk. */
const MAX_PAD_RANK = 1024;

/** How the numbers of a written file differ from its source's. */
export interface FileChanges {
  /** Largest relative error of products with a strength; 0: the very numbers of the source. */
  readonly rounding: number;
  /** Some rank was padded, so that other kernels run. */
  readonly padded: boolean;
}

export interface WriteAdapterOptions {
  /** Write over an existing file; never over the input. Default false. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /**
   * A last check of the finished file, given its temporary path and how its numbers differ from the source's; where it throws,
   * nothing is written.
   */
  readonly verify?: (path: string, file: FileChanges) => Promise<void>;
  /**
   * Pads every rank with zeros to a multiple of it, which changes nothing but the speed: prompts run faster on a CPU at a multiple of 16.
   * A whole number from 1; default 1, no padding.
   */
  readonly padRank?: number;
  readonly provenance?: {
    /** SHA-256 of the source, where known; without it the file names its source by fingerprint only. */
    readonly sourceSha256?: string | undefined;
    /** What is proven of what is written, where something has judged it. */
    readonly claim?: Claim | undefined;
  };
}

export interface WrittenAdapter {
  readonly path: string;
  readonly bytes: number;
  /** Elements of all kept pairs, padding included. */
  readonly parameters: number;
  /** Those of them that only pad ranks: zeros. */
  readonly padding: number;
  /** Of the layers that the source has LoRA in, ascending. */
  readonly keptLayers: readonly number[];
  readonly droppedLayers: readonly number[];
  readonly keptTensors: number;
  readonly droppedTensors: number;
  readonly source: { readonly path: string; readonly bytes: number; readonly fingerprint: string };
  /** As written. */
  readonly alpha: number;
  /** Written alpha / source alpha, before rounding to the file's f32: the strength of most kept pairs, times padded rank / rank. */
  readonly alphaScale: number;
  /** The effective strengths, defaults filled in. */
  readonly scales: LayerScales;
  /** Their canonical text, see `formatLayerScales`. */
  readonly scalesText: string;
  /** Names of the pairs that have another strength than most: what they differ by was multiplied into their B. */
  readonly baked: readonly string[];
  /** One sentence each. */
  readonly notices: readonly string[];
  /** Header and every tensor byte were re-read and compared before the file got its name. */
  readonly verified: true;
}

/**
 * Writes a smaller adapter: pairs at scale 0 are left out, the strength that most of the others share is multiplied into
 * `adapter.lora.alpha` and their bytes stay as they are; what a pair differs from it is multiplied into its B (F32, F16, BF16; Q8_0
 * becomes F16). All other metadata stay. The same inputs give the same bytes.
 * Tensors that are not part of a pair (norms, unknown ones) go with their layer, and stay if they belong to none.
 * A file of several GB is streamed and takes about as long as a copy.
 *
 * @param source path of the adapter
 * @throws InputError see {@link readAdapter}
 * @throws UsageError SELECTION_LENGTH, SELECTION_SCALE, SELECTION_EMPTY, SELECTION_TENSOR_TYPE, PAD_RANK_RANGE, TARGET_EXISTS,
 *   TARGET_IS_INPUT, TARGET_IS_FOLDER
 * @throws BackendError TARGET_UNWRITABLE, TARGET_FULL; VerificationError; CancelledError
 */
export async function writeAdapter(
  source: string,
  selection: LayerSelection | Candidate,
  target: string,
  options: WriteAdapterOptions = {},
): Promise<WrittenAdapter> {
  const { padRank = 1, verify } = options;
  requirePadRank(padRank);
  const adapter = await readAdapter(source);
  const plan = planTrim(adapter, selection, padRank);
  const fingerprint = await fingerprintOf(adapter.gguf);
  const metadata = withProvenance(adapter.gguf.metadata, {
    version: packageVersion,
    source_fingerprint: fingerprint,
    source_sha256: options.provenance?.sourceSha256,
    kept_layers: plan.keptLayers,
    candidate: selection.id ?? `keep:${formatLayers(plan.keptLayers)}`,
    layer_scales: plan.scalesText,
    alpha_scale: plan.alphaScale,
    baked_pairs: plan.baked.length,
    padded_rank: padRank,
    claim: options.provenance?.claim,
  });
  // Setting an existing key leaves it at its place.
  metadata.set(ALPHA_KEY, MetadataValue.f32(plan.alpha));
  await requireTarget(target, [source], options);
  const tensors = plan.tensors.map(({ tensor, change }) => (change === null ? tensor : changedTensor(tensor, change)));
  const content = { version: adapter.gguf.version, metadata, tensors };
  const { bytes } = await writeGguf(target, content, {
    ...options,
    inputs: [source],
    verify: async (path) => verify?.(path, changesOf(plan, adapter.alpha)),
  });
  return {
    path: target,
    bytes,
    parameters: plan.parameters,
    padding: plan.padding,
    keptLayers: plan.keptLayers,
    droppedLayers: plan.droppedLayers,
    keptTensors: tensors.length,
    droppedTensors: adapter.gguf.tensors.length - tensors.length,
    source: { path: source, bytes: adapter.bytes, fingerprint },
    alpha: plan.alpha,
    alphaScale: plan.alphaScale,
    scales: plan.scales,
    scalesText: plan.scalesText,
    baked: plan.baked,
    notices: noticesOf(plan),
    verified: true,
  };
}

function changesOf({ tensors, alpha, alphaScale }: TrimPlan, sourceAlpha: number): FileChanges {
  const errors = tensors.flatMap(({ tensor, change }) =>
    change === null || change.factor === 1 ? [] : [roundingOf(multipliedType(tensor))],
  );
  return {
    rounding: Math.max(alpha === sourceAlpha * alphaScale ? 0 : 2 ** -24, ...errors),
    padded: tensors.some(({ change }) => change !== null && change.pad !== null),
  };
}

function noticesOf({ becomeF16 }: TrimPlan): string[] {
  const [first] = becomeF16;
  if (first === undefined) return [];
  const more = becomeF16.length > 1 ? ` and ${becomeF16.length - 1} more` : "";
  return [`Quantised B tensors became F16 because a strength was multiplied into them: ${first}${more}.`];
}

function requirePadRank(padRank: number): void {
  if (Number.isInteger(padRank) && padRank >= 1 && padRank <= MAX_PAD_RANK) return;
  throw new UsageError(
    "PAD_RANK_RANGE",
    `Expected a whole number from 1 to ${MAX_PAD_RANK} for \`padRank\` but received ${padRank}; 16 suits most processors.`,
    { details: { option: "padRank", padRank } },
  );
}
