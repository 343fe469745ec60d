import type { Candidate, Family } from "../lora/candidate.js";
import { candidateName } from "./candidate-name.js";
import type { Unit } from "./scorer.js";

/** Strengths of the layers; feed-forward pairs have their own where they differ. */
export type LayerScales = Pick<Candidate, "layerScales" | "feedForwardScales">;

/**
 * A candidate by the strengths of its layers. The pair below layer 0 goes with layer 0 and the pair above the last layer with
 * the last, as in a boundary.
 */
export function candidateOf(family: Family, scales: LayerScales, id = candidateName(scales)): Candidate {
  const { layerScales, feedForwardScales = layerScales } = scales;
  const isSame = feedForwardScales.every((scale, layer) => scale === layerScales[layer]);
  return {
    id,
    family,
    layerScales,
    ...(!isSame && { feedForwardScales }),
    inputScale: layerScales[0] || feedForwardScales[0] || 0,
    outputScale: feedForwardScales.at(-1) || layerScales.at(-1) || 0,
  };
}

/** All layers at one strength but for the units that are out. */
export function scalesWithout(layers: number, out: readonly Unit[], strength: number): LayerScales {
  const layerScales = new Array<number>(layers).fill(strength);
  const feedForwardScales = new Array<number>(layers).fill(strength);
  for (const { layer, part } of out) {
    if (part !== "ffn") layerScales[layer] = 0;
    if (part !== "attention") feedForwardScales[layer] = 0;
  }
  return { layerScales, feedForwardScales };
}
