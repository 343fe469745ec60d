import { adaptedSize, type Candidate } from "../lora/candidate.js";
import { choose, type Goal } from "./choose.js";
import { verdictAt, type Judgement } from "./judge.js";
import { unitMean } from "./units.js";

/**
 * The critical value of a race knows those that left by their first samples only (`completedScores`), so it lies beside that of
 * an exhaustive search: by 0.057 with nobody completed, by 0.026 once those are that lack up to a quarter of the layers, by 0.012 with
 * every third of the others, whose neighbours are then well predicted (root mean squares over the worlds of `bench statistics`). The
 * first are the cheapest to compute, and move the least like all others.
 * A choice that would be another one with a critical value within `doubt` is not left to that: the next are completed.
 */
export const SETTLING_STEPS: readonly SettlingStep[] = [
  { doubt: 0.1, lacking: 0.25, every: 1 },
  { doubt: 0.04, lacking: 1, every: 3 },
  { doubt: 0.02, lacking: 1, every: 1 },
];

export interface SettlingStep {
  /** Of the critical value, either way. */
  readonly doubt: number;
  /** Share of the adapted layers that a candidate may lack to be completed. */
  readonly lacking: number;
  /** Of those, one in so many is completed. */
  readonly every: number;
}

/**
 * Whether another critical value within `doubt` would choose otherwise, by more than the samples can tell: two cuts whose paired means
 * differ by less than one standard error are equally good choices, and no pass is spent on which of them it is.
 */
export function isClose(judgement: Judgement, goal: Goal, doubt: number): boolean {
  const chosenAt = (criticalValue: number) => {
    const candidates = judgement.candidates.map((judged) => ({
      ...judged,
      verdict: verdictAt(criticalValue, judged, judgement),
    }));
    return choose({ ...judgement, candidates }, goal);
  };
  const easily = chosenAt(judgement.criticalValue - doubt);
  const hardly = chosenAt(judgement.criticalValue + doubt);
  if (easily === null || hardly === null) return easily !== hardly;
  const difference = unitMean(
    easily.losses.map((loss, sample) => loss - (hardly.losses[sample] ?? NaN)),
    judgement.units,
  );
  return easily.id !== hardly.id && Math.abs(difference.mean) >= difference.se;
}

/** Whom this step completes of those that left. Controls lack nothing and cost a whole pass each: they stay as they are. */
export function toComplete(
  left: readonly Candidate[],
  coveredLayers: readonly number[],
  { lacking, every }: SettlingStep,
): readonly Candidate[] {
  const near = left.filter((candidate) => {
    const share = 1 - adaptedSize(candidate, coveredLayers) / coveredLayers.length;
    return share > 0 && share <= lacking;
  });
  return near.filter((_, index) => index % every === every - 1);
}
