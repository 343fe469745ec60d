import { FEWEST_UNITS } from "./bootstrap.js";
import { DEFAULT_CONFIDENCE } from "./judge-options.js";
import type { Judgement } from "./judge.js";
import { studentCriticalValue, Z_POWER_80 } from "./student.js";

/**
 * Per-sample standard deviation of full - candidate for a cut near the 2 % margin, as a share of the adapter's mean gain:
 * recorded on the real adapter of DESIGN's table, 0.021 at `upto:29`, 0.039 at `upto:28`, 0.059 at `upto:27`.
 * A guess for the plan only; after the run `measuredSpread` takes its place.
 */
export const TYPICAL_SPREAD_SHARE = 0.04;

/**
 * How many independent contrasts a boundary search is worth: neighbouring cuts move together, so the measured critical
 * value of 31 boundaries (2.6 at 150 samples, 3.4 at 10) is that of about six.
 */
const EFFECTIVE_CONTRASTS = 6;

/**
 * The critical value to expect before anything is scored: Student's t with Bonferroni's correction (Dunn 1961).
 *
 * @param units independent samples, at least 2
 * @param contrasts independent ones, default six
 */
export function expectedCriticalValue(
  units: number,
  confidence: number = DEFAULT_CONFIDENCE,
  contrasts: number = EFFECTIVE_CONTRASTS,
): number {
  return studentCriticalValue(1 - (1 - confidence) / contrasts, units - 1);
}

export interface PowerQuestion {
  /** Independent samples. */
  readonly units: number;
  /** Per-sample standard deviation of the difference, in any unit; default `TYPICAL_SPREAD_SHARE`, shares of the gain. */
  readonly spread?: number;
  /** Default 0.95. */
  readonly confidence?: number;
  /** Half-width of a bound in standard errors; default `expectedCriticalValue`. */
  readonly criticalValue?: number;
}

/**
 * The smallest true difference that these samples show with a chance of 80 %: (c + z) x sd / sqrt(n), the
 * normal-approximation power of a one-sided bound (Cohen 1988, 2.4).
 *
 * @returns in the unit of `spread`; null below eight independent samples, which show nothing
 */
export function smallestDifference(question: PowerQuestion): number | null {
  const { units, spread = TYPICAL_SPREAD_SHARE, confidence = DEFAULT_CONFIDENCE } = question;
  if (units < FEWEST_UNITS) return null;
  const { criticalValue = expectedCriticalValue(units, confidence) } = question;
  return ((criticalValue + Z_POWER_80) * spread) / Math.sqrt(units);
}

/**
 * The inverse: how many independent samples would show a difference of `difference` with a chance of 80 %.
 *
 * @param difference above 0, in the unit of `spread`
 * @returns a whole number, at least `FEWEST_UNITS`
 */
export function unitsFor(difference: number, spread: number, criticalValue: number): number {
  const needed = (((criticalValue + Z_POWER_80) * spread) / difference) ** 2;
  return Math.max(FEWEST_UNITS, Math.ceil(needed));
}

/**
 * What the scores say about the spread that `smallestDifference` had to guess: that of the cut whose retention is nearest
 * to the margin, nats. Ties: the first in the table.
 *
 * @returns null where there is no cut or no noise
 */
export function measuredSpread({ candidates, units }: Judgement): number | null {
  let nearest: { readonly distance: number; readonly spread: number } | null = null;
  for (const { role, marginContrast } of candidates) {
    if (role !== "cut" || marginContrast.flat) continue;
    const distance = Math.abs(marginContrast.mean);
    if (nearest === null || distance < nearest.distance) {
      nearest = { distance, spread: marginContrast.se * Math.sqrt(units.count) };
    }
  }
  return nearest?.spread ?? null;
}
