import { UsageError } from "../errors.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import type { AdapterFile } from "./adapter-file.js";
import { formatLayerScales, outsideDefaults } from "./format-layer-scales.js";
import type { LayerScales } from "./layer-grammar.js";
import { isEmbedding, partOf, placeOf, type LoraPair } from "./lora-pair.js";
import { multipliedType, type TensorChange } from "./tensor-change.js";

/** What to keep, and how strong; every `Candidate` is one. */
export interface LayerSelection {
  /** Goes into the file's provenance; default `keep:` and the kept layers. */
  readonly id?: string;
  /** One per layer, at least up to the adapter's highest. */
  readonly layerScales: readonly number[];
  /** Of the feed-forward pairs, where they differ; see `Candidate`. */
  readonly feedForwardScales?: readonly number[];
  /** For pairs below layer 0 (`token_embd`); default: the strength of the lowest kept layer. */
  readonly inputScale?: number;
  /** For pairs above the last layer (`output`); default: the strength of the highest kept layer if none is dropped, else 0. */
  readonly outputScale?: number;
}

export interface TrimPlan {
  /** In source order, so that neighbours are copied as one stretch. */
  readonly tensors: readonly { readonly tensor: TensorDescriptor; readonly change: TensorChange | null }[];
  /** Elements of all kept pairs, as written. */
  readonly parameters: number;
  /** Those of them that only pad ranks: zeros. */
  readonly padding: number;
  readonly keptLayers: readonly number[];
  readonly droppedLayers: readonly number[];
  /** As written. */
  readonly alpha: number;
  /** Written alpha over the source's, before rounding to the file's f32. */
  readonly alphaScale: number;
  /** The effective strengths, with the defaults filled in. */
  readonly scales: LayerScales;
  /** Their canonical text. */
  readonly scalesText: string;
  /** Names of the pairs whose B is multiplied, in file order. */
  readonly baked: readonly string[];
  /** Those whose B becomes F16 by it. */
  readonly becomeF16: readonly string[];
}

/**
 * Decides where each strength goes: the one that most of the kept elements share into alpha, whose tensors keep their bytes; what others
 * differ from it, into their B.
 *
 * @param padRank ranks are padded with zeros to a multiple of it; alpha makes up for what llama.cpp divides by then
 * @throws UsageError SELECTION_LENGTH, SELECTION_SCALE, SELECTION_EMPTY
 */
export function planTrim(adapter: AdapterFile, selection: LayerSelection, padRank = 1): TrimPlan {
  const scales = completeScales(adapter, selection);
  const keptPairs = adapter.pairs.flatMap((pair) => {
    const strength = strengthOf(pair, scales);
    if (strength === 0) return [];
    const rank = Math.ceil(pair.rank / padRank) * padRank;
    // llama.cpp multiplies a pair by alpha / rank.
    return [{ pair, rank, multiple: (strength * rank) / pair.rank }];
  });
  const alphaScale = mostCommon(keptPairs.map(({ pair, multiple }) => [multiple, pair.parameters]));
  const alpha = Math.fround(adapter.alpha * alphaScale);
  if (alpha === 0 || !Number.isFinite(alpha)) {
    throw selectionError(
      "SCALE",
      `Alpha ${adapter.alpha} times the strength ${alphaScale} is out of range for an f32.`,
    );
  }
  const changes = new Map<TensorDescriptor, TensorChange | null>();
  for (const { pair, rank, multiple } of keptPairs) {
    const factor = multiple / alphaScale;
    const change = (axis: 0 | 1, times: number) =>
      times === 1 && rank === pair.rank
        ? null
        : { factor: times, pad: rank === pair.rank ? null : { axis, size: rank } };
    changes.set(pair.a, change(isEmbedding(pair.name) ? 0 : 1, 1));
    changes.set(pair.b, change(0, factor));
  }
  const keptLayers = adapter.layers.filter((layer) => keptPairs.some(({ pair }) => pair.layer === layer));
  const baked = keptPairs.filter(({ pair }) => (changes.get(pair.b)?.factor ?? 1) !== 1).map(({ pair }) => pair);
  const parameters = keptPairs.reduce((sum, { pair, rank }) => sum + (pair.parameters / pair.rank) * rank, 0);
  return {
    tensors: keptTensors(adapter, scales, changes),
    parameters,
    padding: parameters - keptPairs.reduce((sum, { pair }) => sum + pair.parameters, 0),
    keptLayers,
    droppedLayers: adapter.layers.filter((layer) => !keptLayers.includes(layer)),
    alpha,
    alphaScale,
    scales,
    scalesText: formatLayerScales(scales),
    baked: baked.map(({ name }) => name),
    becomeF16: baked.filter(({ b }) => multipliedType(b) !== b.type).map(({ name }) => name),
  };
}

function keptTensors(
  adapter: AdapterFile,
  scales: LayerScales,
  changes: ReadonlyMap<TensorDescriptor, TensorChange | null>,
): TrimPlan["tensors"] {
  const ofPairs = new Set(adapter.pairs.flatMap(({ a, b }) => [a, b]));
  return adapter.gguf.tensors.flatMap((tensor) => {
    const change = changes.get(tensor);
    if (change !== undefined) return [{ tensor, change }];
    // Norms and unknown tensors go with their layer.
    const { layer } = placeOf(tensor.name);
    const { layerScales, feedForwardScales = layerScales } = scales;
    const stays = layer === null || layerScales[layer] !== 0 || feedForwardScales[layer] !== 0;
    return stays && !ofPairs.has(tensor) ? [{ tensor, change: null }] : [];
  });
}

function strengthOf({ place, layer, module }: LoraPair, scales: LayerScales): number {
  if (place === "input") return scales.inputScale;
  if (layer === null) return scales.outputScale;
  const { layerScales, feedForwardScales = layerScales } = scales;
  return (partOf(module) === "ffn" ? feedForwardScales : layerScales)[layer] ?? 0;
}

/** The value with the most weight; of equal ones the first. */
function mostCommon(weighted: readonly (readonly [value: number, weight: number])[]): number {
  const weights = new Map<number, number>();
  for (const [value, weight] of weighted) weights.set(value, (weights.get(value) ?? 0) + weight);
  const [first, ...rest] = weights;
  if (first === undefined) {
    throw selectionError(
      "EMPTY",
      "Expected at least one kept pair but the selection drops all of them: that is the base model, which needs no adapter.",
    );
  }
  return rest.reduce((most, next) => (next[1] > most[1] ? next : most), first)[0];
}

/** What the adapter has nothing for has the strength that its neighbour suggests, so that it does not show in the text. */
function completeScales(adapter: AdapterFile, selection: LayerSelection): LayerScales {
  requireScales(adapter, selection);
  const { layerScales, feedForwardScales } = selection;
  const outside = outsideDefaults(layerScales, feedForwardScales ?? layerScales);
  const strengths = adapter.layers.map((layer) => [
    layerScales[layer] ?? 0,
    feedForwardScales?.[layer] ?? layerScales[layer] ?? 0,
  ]);
  const kept = strengths.flatMap(([attention = 0, ffn = 0]) =>
    attention === 0 && ffn === 0 ? [] : [attention || ffn],
  );
  const has = (place: LoraPair["place"]) => adapter.pairs.some((pair) => pair.place === place);
  return {
    layerScales,
    ...(feedForwardScales?.some((scale, layer) => scale !== layerScales[layer]) === true && { feedForwardScales }),
    inputScale: has("input") ? (selection.inputScale ?? kept[0] ?? 0) : outside.inputScale,
    outputScale: has("output")
      ? (selection.outputScale ?? (kept.length === strengths.length ? (kept.at(-1) ?? 0) : 0))
      : outside.outputScale,
  };
}

function requireScales(adapter: AdapterFile, selection: LayerSelection): void {
  const { layerScales, feedForwardScales = layerScales, inputScale = 1, outputScale = 1 } = selection;
  const highest = adapter.layers.at(-1) ?? -1;
  if (layerScales.length <= highest) {
    throw selectionError(
      "LENGTH",
      `Expected a scale for each layer up to ${highest}, the adapter's highest, but received ${layerScales.length} scales.`,
    );
  }
  if (feedForwardScales.length !== layerScales.length) {
    throw selectionError(
      "LENGTH",
      `Expected as many \`feedForwardScales\` as \`layerScales\` (${layerScales.length}) but received ${feedForwardScales.length}.`,
    );
  }
  const bad = [...layerScales, ...feedForwardScales, inputScale, outputScale].find((scale) => !Number.isFinite(scale));
  if (bad !== undefined) throw selectionError("SCALE", `Expected finite scales but received ${bad}.`);
}

function selectionError(code: string, message: string): UsageError {
  return new UsageError(`SELECTION_${code}`, message, { details: { option: "selection" } });
}
