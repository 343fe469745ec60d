import type { CalibrationResult } from "../result.js";
import type { JudgedCandidate } from "./judge.js";

/**
 * The candidates that no other beats in both adapted layers and mean retention, most retention first. Estimates, not
 * claims. Controls are left out: at another strength they are the full adapter, not a smaller one.
 *
 * Ties: of equally many layers and equal retention the first in the table stays.
 */
export function paretoFront(candidates: readonly JudgedCandidate[]): CalibrationResult["pareto"] {
  const front: { id: string; adaptedLayers: number; retention: number }[] = [];
  const known = candidates.flatMap(({ role, id, adaptedLayers, retention }) =>
    role === "control" || retention === null ? [] : [{ id, adaptedLayers, retention: retention.mean }],
  );
  known.sort((a, b) => a.adaptedLayers - b.adaptedLayers || b.retention - a.retention);
  for (const point of known) {
    const best = front.at(-1)?.retention ?? -Infinity;
    if (point.retention > best) front.push(point);
  }
  return front.reverse();
}
