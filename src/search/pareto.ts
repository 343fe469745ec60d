import type { CalibrationResult } from "../result.js";
import type { JudgedCandidate } from "./judge.js";

/**
 * The candidates that no other beats in both adapted layers and mean retention, most retention first. Estimates, not
 * claims. Controls and what left a race are left out: at another strength they are the full adapter, not a smaller one.
 *
 * Ties: of equally many layers and equal retention the first in the table stays.
 */
export function paretoFront(candidates: readonly JudgedCandidate[]): CalibrationResult["pareto"] {
  const front: JudgedCandidate[] = [];
  const known = candidates.filter(
    ({ role, retention }) => role !== "control" && role !== "dropped" && retention !== null,
  );
  const kept = ({ retention }: JudgedCandidate): number => retention?.mean ?? -Infinity;
  known.sort((a, b) => a.adaptedSize - b.adaptedSize || kept(b) - kept(a));
  for (const candidate of known) {
    const best = front.at(-1);
    if (best === undefined || kept(candidate) > kept(best)) front.push(candidate);
  }
  return front
    .reverse()
    .map((candidate) => ({ id: candidate.id, adaptedLayers: candidate.adaptedLayers, retention: kept(candidate) }));
}
