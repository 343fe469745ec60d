import { adaptedSize, type Candidate } from "../lora/candidate.js";
import { choose, type Goal } from "./choose.js";
import { verdictAt, type Judgement } from "./judge.js";

/**
 * The critical value of a race knows those that left by their first samples only (`completedScores`), so it lies beside that of
 * an exhaustive search: by 0.07 with nobody completed, by 0.035 once those are that lack up to a quarter of the layers
 * (standard deviations over the worlds of `bench statistics`). These are the cheapest to compute, and move the least like all others.
 * A choice that would be another one with a critical value within `doubt` is not left to that: the next are completed.
 */
export const SETTLING_STEPS: readonly SettlingStep[] = [
  { doubt: 0.1, lacking: 0.25 },
  { doubt: 0.04, lacking: 1 },
];

export interface SettlingStep {
  /** Of the critical value, either way. */
  readonly doubt: number;
  /** Share of the adapted layers that a candidate may lack to be completed. */
  readonly lacking: number;
}

/** Whether another critical value within `doubt` would choose otherwise. */
export function isClose(judgement: Judgement, goal: Goal, doubt: number): boolean {
  const chosenAt = (criticalValue: number) => {
    const candidates = judgement.candidates.map((judged) => ({
      ...judged,
      verdict: verdictAt(criticalValue, judged, judgement),
    }));
    return choose({ ...judgement, candidates }, goal)?.id;
  };
  return chosenAt(judgement.criticalValue - doubt) !== chosenAt(judgement.criticalValue + doubt);
}

/** Whether this step completes it. Controls lack nothing and cost a whole pass each: they stay as they are. */
export function isNearFull(candidate: Candidate, coveredLayers: readonly number[], { lacking }: SettlingStep): boolean {
  const share = 1 - adaptedSize(candidate, coveredLayers) / coveredLayers.length;
  return share > 0 && share <= lacking;
}
