import type { GuardCandidate, NoSelection } from "../result.js";
import { FEWEST_UNITS, maxTCriticalValue } from "./bootstrap.js";
import { choose, provenInOrder } from "./choose.js";
import { concludeFrom, type ConcludeOptions, type Conclusion } from "./conclude.js";
import type { JudgeOptions } from "./judge-options.js";
import { completeJudgeOptions } from "./judge-options.js";
import { unitsFor } from "./power.js";
import { referenceScores, requireScores, type ScoreTable } from "./scores.js";
import { independentUnits, requireSpread, unitMean, type UnitMean } from "./units.js";
import { boundedMean, retentionOf, verdictWithin } from "./verdicts.js";
import { roundedUp } from "./wording.js";

/**
 * Share of the full adapter's loss on the guard set that a candidate may add to it: 1 % more nats per token, about 2 % more perplexity
 * where a token costs 2 nats.
 */
export const DEFAULT_GUARD_MARGIN = 0.01;

export interface GuardJudgement {
  readonly criticalValue: number;
  /** Independent samples. */
  readonly units: number;
  /** In the order of the table. */
  readonly candidates: readonly GuardCandidate[];
  /** Per candidate: (1 + margin) x full - candidate, nats. */
  readonly contrasts: readonly UnitMean[];
}

/**
 * Whether candidates are worse than the full adapter on a second set of samples, such as general text, on which the adapter was not
 * meant to help.
 *
 * There it may bring nothing, or harm, so a share of what it brings, as on the samples, would be a share of nothing. What may be
 * lost is a share of the full adapter's own loss instead: a candidate is `not-worse` where the lower bound of the mean of the
 * per-sample contrast (1 + margin) x full - candidate is above 0, and `worse` where the upper one is below. That is the
 * samples' contrast with the base model replaced by one of loss 0, so its bounds, Fieller's included, are the same formulas.
 *
 * One critical value holds for all candidates of the table. Who is in it follows from the samples alone, so it needs no
 * correction for their choice; and who must pass on both sets needs none for there being two: to be chosen wrongly, it must
 * pass the set on which it is worse (intersection-union: Berger 1982).
 *
 * @param table losses, base model and full adapter among them
 * @param margin in (0, 1)
 * @throws as `judge`
 */
export function judgeGuard(table: ScoreTable, margin: number, options: JudgeOptions): GuardJudgement {
  const settings = completeJudgeOptions(options);
  requireScores(table);
  const units = independentUnits(table.groups, table.tokens, settings.tokenWeighted);
  requireSpread(units);
  const full = referenceScores(table, 1, "the full adapter");
  const level = unitMean(full, units);
  const contrast = (scores: Float64Array, allowed: number) =>
    unitMean(
      full.map((score, sample) => (1 + allowed) * score - (scores[sample] ?? NaN)),
      units,
    );
  const gains = table.perSample.map((scores) => contrast(scores, 0));
  const contrasts = table.perSample.map((scores) => contrast(scores, margin));
  const noisy = gains.filter(({ flat }) => !flat);
  const criticalValue = maxTCriticalValue(
    noisy.map(({ residuals }) => residuals),
    units.count,
    { ...settings, ...(!level.flat && { tilt: { residuals: level.residuals, share: margin } }) },
  );
  const candidates = table.candidates.map(({ id }, index): GuardCandidate => {
    const scores = table.perSample[index] ?? full;
    const [gain, allowed] = [gains[index] ?? level, contrasts[index] ?? level];
    const kept = retentionOf(gain, level, criticalValue);
    const verdict = scores === full ? "not-worse" : verdictWithin(boundedMean(allowed, criticalValue));
    return {
      id,
      mean: unitMean(scores, units).mean,
      added: kept && { mean: 1 - kept.mean, low: 1 - kept.high, high: 1 - kept.low },
      verdict: units.count < FEWEST_UNITS && scores !== full ? "unproven" : verdict,
      perSample: Array.from(scores),
    };
  });
  return { criticalValue, units: units.count, candidates, contrasts };
}

/**
 * The conclusion with the choice among those that pass.
 *
 * @param passed by name
 * @param why nothing is selected where none of them passes
 */
export function concludeGuarded(
  conclusion: Conclusion,
  passed: ReadonlySet<string>,
  why: NoSelection,
  options: ConcludeOptions,
): Conclusion {
  const { judgement, goal } = conclusion;
  const chosen = choose(judgement, goal);
  if (chosen === null || passed.has(chosen.id)) return conclusion;
  const failed = new Set(
    provenInOrder(judgement, goal)
      .map(({ id }) => id)
      .filter((id) => !passed.has(id)),
  );
  const guarded = concludeFrom(judgement, { ...options, excluded: failed });
  return guarded.selected === null ? { ...guarded, noSelection: why } : guarded;
}

/** Why nothing is selected where the samples prove candidates, but the guard lets none pass. */
export function explainGuard(
  { units, candidates, contrasts, criticalValue }: GuardJudgement,
  examined: readonly string[],
): NoSelection {
  const kindOf = (id: string) => candidates.find((candidate) => candidate.id === id)?.verdict;
  const names =
    examined.length > 4 ? `${examined.slice(0, 3).join(", ")} and ${examined.length - 3} more` : examined.join(", ");
  const found = { samplesNeeded: null, leastLoss: null };
  if (units < FEWEST_UNITS) {
    const sentence = `The guard set has ${units} independent samples, and fewer than ${FEWEST_UNITS} prove nothing, so nothing is selected: what the samples would allow is ${names}.`;
    return { kind: "unproven", sentence, ...found };
  }
  const opening = `What the samples would allow (${names})`;
  if (examined.every((id) => kindOf(id) === "worse")) {
    return { kind: "worse", sentence: `${opening} is proven worse on the guard set.`, ...found };
  }
  const needed = contrasts.flatMap(({ mean, se }, index) =>
    examined.includes(candidates[index]?.id ?? "") && mean > 0
      ? [unitsFor(mean, se * Math.sqrt(units), criticalValue)]
      : [],
  );
  const hint =
    needed.length === 0
      ? "More guard samples are unlikely to help: on average each adds more than is allowed there."
      : `About ${roundedUp(Math.min(...needed))} guard samples would decide.`;
  return { kind: "unproven", sentence: `${opening} is not proven to be no worse on the guard set. ${hint}`, ...found };
}
