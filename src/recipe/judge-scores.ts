import type { Interval, Verdict } from "../result.js";
import { maxTCriticalValue } from "../search/bootstrap.js";
import { judgeGate } from "../search/gate.js";
import { completeJudgeOptions } from "../search/judge-options.js";
import { independentUnits, requireSpread, unitMean } from "../search/units.js";
import { boundedMean, verdictOf } from "../search/verdicts.js";
import type { Recipe, RecipeScores } from "./recipe.js";

/** What paired scores prove. */
export interface ScoreChecks {
  /** Base - full, now. */
  readonly gain: { readonly passed: boolean; readonly interval: Interval };
  /** The cut against the full adapter, both as scored now. */
  readonly full: PairedCheck;
  /** The cut as scored now against the recorded one. */
  readonly recorded: PairedCheck;
}

export interface PairedCheck {
  readonly passed: boolean;
  /** `better` and `not-worse` pass. */
  readonly verdict: Verdict;
  /** Reference - cut, paired, nats: above 0 the cut is better. */
  readonly gain: Interval;
  /** How much the reference may be better than the cut, nats: the margin as a share of the reference's mean gain. */
  readonly allowed: number;
}

/**
 * By the rules of a calibration (DESIGN "Verdicts"), with bounds that hold for both comparisons together.
 *
 * @param recorded,now of the same samples, in the same packing, by the same engine
 * @param groups,tokens of every sample
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples
 */
export function judgeScores(
  recorded: RecipeScores,
  now: RecipeScores,
  groups: readonly string[],
  tokens: Int32Array,
  { margin, confidence, seed, tokenWeighted }: Recipe["judging"],
): ScoreChecks {
  const settings = completeJudgeOptions({ coveredLayers: [], margin, confidence, seed, tokenWeighted });
  const units = independentUnits(groups, tokens, tokenWeighted);
  requireSpread(units);
  /** reference + share x (base - reference's full adapter) - cut */
  const contrast = (reference: readonly number[], { base, full }: RecipeScores, share: number) =>
    unitMean(
      Float64Array.from(
        now.cut,
        (cut, sample) => (reference[sample] ?? NaN) + share * ((base[sample] ?? NaN) - (full[sample] ?? NaN)) - cut,
      ),
      units,
    );
  const difference = (scores: RecipeScores) =>
    unitMean(
      Float64Array.from(scores.full, (full, sample) => (scores.base[sample] ?? NaN) - full),
      units,
    );
  const gateGain = difference(now);
  const gate = judgeGate(gateGain, units.count, false, settings);
  const pairs = [
    { gain: contrast(now.full, now, 0), withMargin: contrast(now.full, now, margin), allowed: gateGain.mean },
    {
      gain: contrast(recorded.cut, recorded, 0),
      withMargin: contrast(recorded.cut, recorded, margin),
      allowed: difference(recorded).mean,
    },
  ] as const;
  const noisy = pairs.flatMap(({ gain, withMargin }) => [gain, withMargin]).filter(({ flat }) => !flat);
  const criticalValue = maxTCriticalValue(
    noisy.map(({ residuals }) => residuals),
    units.count,
    settings,
  );
  const check = ({ gain, withMargin, allowed }: (typeof pairs)[number]): PairedCheck => {
    const bounded = boundedMean(gain, criticalValue);
    const verdict = verdictOf(bounded, boundedMean(withMargin, criticalValue));
    const passed = verdict === "better" || verdict === "not-worse";
    return { passed, verdict, gain: bounded, allowed: margin * allowed };
  };
  return {
    gain: { passed: gate.passed, interval: gate.gain },
    full: check(pairs[0]),
    recorded: check(pairs[1]),
  };
}
