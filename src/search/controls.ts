import type { CalibrationResult } from "../result.js";
import type { JudgedCandidate, Judgement } from "./judge.js";
import { unitMean } from "./units.js";
import { boundedMean, withoutBetter } from "./verdicts.js";

/**
 * Whether the global scales must be scored before the judgement may be reported: some cut would be called `better`, and
 * no control has been tried. A cut shrinks the adapter, and plain shrinking may be all that helped.
 */
export function needsControl({ candidates }: Judgement): boolean {
  return (
    candidates.some(({ role, verdict }) => role === "cut" && verdict === "better") &&
    !candidates.some(({ role, family }) => role === "control" || (role === "dropped" && family === "scale"))
  );
}

/**
 * The judgement as it may be told while `needsControl` holds (a run that was cancelled before its controls): `better` is
 * withheld, and what also lies within the margin is `not-worse`, which needs no control.
 */
export function withholdBetter(judgement: Judgement): Judgement {
  if (!needsControl(judgement)) return judgement;
  const candidates = judgement.candidates.map((judged): JudgedCandidate => {
    if (judged.role !== "cut" || judged.verdict !== "better") return judged;
    const { gate, criticalValue } = judgement;
    const margin = gate.passed ? boundedMean(judged.marginContrast, criticalValue) : null;
    return { ...judged, verdict: withoutBetter(judged.gainVsFull, margin) };
  });
  return { ...judgement, candidates };
}

/**
 * The best control (highest mean gain; ties: the first in the table), and whether it explains the gain of the selected cut:
 * a cut that is `better` than the full adapter while a control gains at least as much on average.
 *
 * `selectedVsBest` is the paired difference control - selected with the critical value of the whole judgement. That
 * value was taken over contrasts with the full adapter; a difference of two such contrasts is not one of them, so this
 * bound is a comparison, not a claim.
 *
 * @param noiseFloor largest difference between two runs of one candidate, nats; 0 where runs are bit-identical
 */
export function judgeControls(
  judgement: Judgement,
  selected: JudgedCandidate | null,
  noiseFloor: number,
): CalibrationResult["controls"] {
  const controls = judgement.candidates.filter(({ role }) => role === "control");
  const [best] = controls.sort((a, b) => b.gain.mean - a.gain.mean);
  if (best === undefined) return { bestGlobalScale: null, noiseFloor, selectedVsBest: null, explainsGain: false };
  const bestGlobalScale = { id: best.id, gainVsFull: best.gainVsFull };
  if (selected === null) return { bestGlobalScale, noiseFloor, selectedVsBest: null, explainsGain: false };
  const difference = unitMean(
    best.losses.map((loss, sample) => loss - (selected.losses[sample] ?? NaN)),
    judgement.units,
  );
  return {
    bestGlobalScale,
    noiseFloor,
    selectedVsBest: boundedMean(difference, judgement.criticalValue),
    explainsGain: selected.verdict === "better" && difference.mean <= 0,
  };
}
