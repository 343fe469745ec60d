import type { Interval, Verdict } from "../result.js";
import { unitCovariance, type UnitMean } from "./units.js";

/**
 * Mean with bounds `criticalValue` standard errors away. Where the values show no spread at all there is nothing to
 * measure noise by: the bounds then reach back to 0, so that no claim can rest on copies of one sample.
 */
export function boundedMean({ mean, se, flat }: UnitMean, criticalValue: number): Interval {
  if (flat) return { mean, low: Math.min(0, mean), high: Math.max(0, mean) };
  return { mean, low: mean - criticalValue * se, high: mean + criticalValue * se };
}

/**
 * The verdict rule of DESIGN ("Verdicts").
 *
 * @param gain per-sample full - candidate, bounded
 * @param marginContrast per-sample full + margin x (base - full) - candidate, bounded: above 0 the candidate keeps
 *   more than 1 - margin of the adapter's gain; null where the adapter has no proven gain, of which a margin would be
 *   a share: then only `better`, `worse` (than the full adapter, by any amount) and `unproven` can be said
 */
export function verdictOf(gain: Interval, marginContrast: Interval | null): Verdict {
  if (gain.low > 0) return "better";
  if (marginContrast === null) return gain.high < 0 ? "worse" : "unproven";
  return verdictWithin(marginContrast);
}

/** What a margin contrast says by itself. */
export function verdictWithin({ low, high }: Interval): Exclude<Verdict, "better"> {
  if (low > 0) return "not-worse";
  return high < 0 ? "worse" : "unproven";
}

/** The verdict where nothing may be called better: what also lies within the margin is `not-worse`. */
export function withoutBetter(gain: Interval, marginContrast: Interval | null): Verdict {
  const verdict = verdictOf(gain, marginContrast);
  if (verdict !== "better") return verdict;
  return marginContrast !== null && marginContrast.low > 0 ? "not-worse" : "unproven";
}

/**
 * Retention with bounds, by inverting the linear contrast (Fieller 1954): the bounds are the two shares r at which
 * mean +- c x SE of base - candidate - r x (base - full) touches 0. So the lower bound lies above 1 - margin exactly
 * where the contrast of `not-worse` does, which a ratio with a standard error of its own would not guarantee.
 *
 * With s = 1 - r the contrast is gain + s x gate, and the bounds solve
 * s^2 (D^2 - c^2 Vd) + 2 s (g D - c^2 Vgd) + (g^2 - c^2 Vg) = 0.
 *
 * @param gain full - candidate
 * @param gate base - full, over the same units
 * @returns null where the gate's own bound at this critical value includes 0: no share of an unsure gain is bounded
 */
export function retentionOf(gain: UnitMean, gate: UnitMean, criticalValue: number): Interval | null {
  const square = criticalValue * criticalValue;
  const leading = gate.mean * gate.mean - square * gate.se * gate.se;
  if (!(leading > 0) || gate.mean <= 0 || gate.flat) return null;
  const mean = 1 + gain.mean / gate.mean;
  // Scores equal to the base model's or the full adapter's are 0 and 1 by definition, whatever the noise.
  if (gain.flat && gain.mean === 0) return { mean: 1, low: 1, high: 1 };
  const half = gain.mean * gate.mean - square * unitCovariance(gain.residuals, gate.residuals, gain.count);
  const constant = gain.mean * gain.mean - square * gain.se * gain.se;
  // The set of shares is never empty (the estimate is one of them); below 0 is rounding.
  const root = Math.sqrt(Math.max(0, half * half - leading * constant));
  return {
    mean,
    low: Math.min(mean, 1 - (-half + root) / leading),
    high: Math.max(mean, 1 - (-half - root) / leading),
  };
}
