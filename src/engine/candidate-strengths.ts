import { UsageError } from "../errors.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { NamedScales } from "../lora/candidate.js";

/**
 * A candidate as the engine computes it: strength below layer 0, of each layer, above the last layer. What the adapter does
 * not cover is 0, whatever the candidate says, so candidates that compute the same are equal.
 *
 * @returns [L + 2]
 * @throws UsageError CANDIDATE_LENGTH, CANDIDATE_SCALE
 */
export function strengthsOf(
  candidate: NamedScales,
  { file, model }: { readonly file: AdapterFile; readonly model: { readonly layers: number } },
): Float32Array {
  const { id, layerScales, inputScale, outputScale } = candidate;
  if (layerScales.length !== model.layers) {
    throw new UsageError(
      "CANDIDATE_LENGTH",
      `Expected ${model.layers} layer scales, one per layer of the model, for candidate \`${id}\` but received ${layerScales.length}.`,
      { details: { candidate: id } },
    );
  }
  const strengths = Float32Array.from([inputScale, ...layerScales, outputScale]);
  if (!strengths.every(Number.isFinite)) {
    throw new UsageError("CANDIDATE_SCALE", `Expected finite scales for candidate \`${id}\`.`, {
      details: { candidate: id },
    });
  }
  const covered = new Set(file.layers);
  for (let layer = 0; layer < model.layers; layer++) if (!covered.has(layer)) strengths[layer + 1] = 0;
  if (!file.pairs.some(({ place }) => place === "input")) strengths[0] = 0;
  if (!file.pairs.some(({ place }) => place === "output")) strengths[model.layers + 1] = 0;
  return strengths;
}
