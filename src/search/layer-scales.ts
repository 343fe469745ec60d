import type { Candidate, Family } from "../lora/candidate.js";
import { roundedBoost } from "./boost.js";
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

/** The one strength of everything kept, 0 where nothing is; null where strengths differ. */
export function commonStrength({ layerScales, feedForwardScales = layerScales }: LayerScales): number | null {
  const [strength = 0, ...others] = new Set([...layerScales, ...feedForwardScales].filter((scale) => scale !== 0));
  return others.length === 0 ? strength : null;
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

/** Of what the boost adds, this share goes to the neighbours of what is out, the rest to all alike. */
const TO_NEIGHBOURS = 0.5;

/**
 * As `scalesWithout`, but what is kept beside a gap carries more of the boost: each unit that is out hands an equal part of that
 * share to the nearest kept units below and above it. The mean strength of the kept units is `boost`, but for rounding.
 *
 * On SmolLM2-135M with the E2E adapter this kept more than one strength for all in both folds, at every size that was tried;
 * three other ways to part it (by depth, by attention and feed-forward, none for the last layers) did not.
 *
 * @param units all that could be out, neighbours side by side
 */
export function spreadScales(
  layers: number,
  { units, out, boost }: { readonly units: readonly Unit[]; readonly out: readonly Unit[]; readonly boost: number },
): LayerScales {
  if (out.length === 0 || boost <= 1) return scalesWithout(layers, out, boost);
  const isOut = units.map(({ layer, part }) => out.some((other) => other.layer === layer && other.part === part));
  const handed = units.map(() => 0);
  for (const [place, gone] of isOut.entries()) {
    if (!gone) continue;
    const heirs = [isOut.lastIndexOf(false, place), isOut.indexOf(false, place)].filter((heir) => heir >= 0);
    for (const heir of heirs) handed[heir] = (handed[heir] ?? 0) + 1 / heirs.length;
  }
  const kept = isOut.filter((gone) => !gone).length;
  const { layerScales, feedForwardScales = layerScales } = scalesWithout(layers, out, boost);
  const [attention, ffn] = [[...layerScales], [...feedForwardScales]];
  for (const [place, { layer, part }] of units.entries()) {
    if (isOut[place] === true) continue;
    const share = 1 - TO_NEIGHBOURS + (TO_NEIGHBOURS * kept * (handed[place] ?? 0)) / out.length;
    const strength = roundedBoost(1 + (boost - 1) * share);
    if (part !== "ffn") attention[layer] = strength;
    if (part !== "attention") ffn[layer] = strength;
  }
  return { layerScales: attention, feedForwardScales: ffn };
}
