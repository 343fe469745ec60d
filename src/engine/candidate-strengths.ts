import { UsageError } from "../errors.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { NamedScales } from "../lora/candidate.js";
import { partOf } from "../lora/lora-pair.js";

/** Of what strengths are wanted. */
export interface StrengthTarget {
  readonly file: AdapterFile;
  readonly model: { readonly layers: number };
  /** P; default 1. */
  readonly partsPerLayer?: 1 | 2;
}

/**
 * A candidate as the engine computes it: strength below layer 0, of the parts of each layer, above the last layer. What the
 * adapter does not cover is 0, whatever the candidate says, so candidates that compute the same are equal.
 *
 * @returns [P L + 2]
 * @throws UsageError CANDIDATE_LENGTH, CANDIDATE_SCALE; CANDIDATE_PARTS where halves of a layer differ and P is 1
 */
export function strengthsOf(candidate: NamedScales, { file, model, partsPerLayer = 1 }: StrengthTarget): Float32Array {
  const { id, layerScales, feedForwardScales = layerScales, inputScale, outputScale } = candidate;
  for (const { length } of [layerScales, feedForwardScales]) {
    if (length === model.layers) continue;
    throw new UsageError(
      "CANDIDATE_LENGTH",
      `Expected ${model.layers} layer scales, one per layer of the model, for candidate \`${id}\` but received ${length}.`,
      { details: { candidate: id } },
    );
  }
  const covered = coveredParts(file, partsPerLayer);
  const ofLayers = layerScales.flatMap((attention, layer) => {
    const ffn = feedForwardScales[layer] ?? 0;
    if (partsPerLayer === 1 && !Object.is(attention, ffn) && covered.has(layer)) throw partsError(id, layer);
    return partsPerLayer === 1 ? [attention] : [attention, ffn];
  });
  const strengths = Float32Array.from([inputScale, ...ofLayers, outputScale]);
  if (!strengths.every(Number.isFinite)) {
    throw new UsageError("CANDIDATE_SCALE", `Expected finite scales for candidate \`${id}\`.`, {
      details: { candidate: id },
    });
  }
  for (const part of ofLayers.keys()) if (!covered.has(part)) strengths[part + 1] = 0;
  if (!file.pairs.some(({ place }) => place === "input")) strengths[0] = 0;
  if (!file.pairs.some(({ place }) => place === "output")) strengths[strengths.length - 1] = 0;
  return strengths;
}

/** Parts of layers that have pairs, counted from 0. */
function coveredParts({ pairs }: AdapterFile, partsPerLayer: 1 | 2): ReadonlySet<number> {
  return new Set(
    pairs.flatMap(({ layer, module }) => {
      if (layer === null) return [];
      return [layer * partsPerLayer + (partsPerLayer === 2 && partOf(module) === "ffn" ? 1 : 0)];
    }),
  );
}

function partsError(id: string, layer: number): UsageError {
  return new UsageError(
    "CANDIDATE_PARTS",
    `Expected one strength per layer for candidate \`${id}\` but its attention and feed-forward pairs differ in layer ${layer}: load the adapter with \`per: "module"\` (--per module).`,
    { details: { candidate: id, layer } },
  );
}
