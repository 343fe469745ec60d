import type { NamedScales } from "../lora/candidate.js";
import { parseCandidateList, referenceCandidates } from "../lora/candidate-list.js";
import { outsideDefaults } from "../lora/format-layer-scales.js";
import type { CalibrationChoice } from "./result.js";

/**
 * Candidates to evaluate, from a text of `parseCandidateList`.
 *
 * @param layers L
 * @param known candidates that are asked for by the names that they have in a result
 * @returns the base model first, the full adapter second (both always), then the others in their order, each once
 * @throws UsageError as `parseCandidateList`
 */
export function namedCandidates(
  text: string,
  layers: number,
  known: readonly NamedScales[] = [],
): readonly NamedScales[] {
  const all = [...referenceCandidates(layers), ...parseCandidateList(text, { layers, known })];
  return all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index);
}

/** The candidates of a calibration by name, the chosen one among them. */
export function knownCandidates({ candidates, selected }: CalibrationChoice): readonly NamedScales[] {
  const tried = candidates.map(({ id, layerScales, feedForwardScales }) => ({
    id,
    layerScales,
    ...(feedForwardScales && { feedForwardScales }),
    ...outsideDefaults(layerScales, feedForwardScales ?? layerScales),
  }));
  return selected === null ? tried : [selected.candidate, ...tried];
}
