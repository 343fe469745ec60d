import { FEWEST_UNITS, maxTCriticalValue, type BootstrapOptions } from "./bootstrap.js";
import type { Units } from "./units.js";

/**
 * The critical value of the sign-flip test of all contrasts at once: had a candidate no effect, its difference on a unit would be as
 * likely with the other sign, so the largest |t| over all candidates under common flips is what chance alone can do (Fisher 1935,
 * chapter 3; Romano 1990; the maximum over candidates: Westfall & Young 1993, 2.3; groups flipped whole: Winkler et al. 2014).
 * Exact for any number of units and any discrete scores, where symmetry holds and units weigh the same; all patterns are taken
 * where they are few. Unlike the multiplier bootstrap, the differences themselves are flipped, not their deviations from the mean.
 *
 * It tests `no effect` and nothing else: around a margin differences of near-binary scores are not symmetric (`near-binary.ts`).
 *
 * @param contrasts per candidate one difference per sample, NaN where there is none
 * @returns in standard errors of the observed mean: no effect is rejected where |mean| is more than so many of them
 */
export function signFlipCriticalValue(
  contrasts: readonly Float64Array[],
  units: Units,
  { confidence, seed, draws }: Pick<BootstrapOptions, "confidence" | "seed" | "draws">,
): number {
  const noisy = contrasts.map((values) => unitTotals(values, units)).filter(({ totals }) => totals.some(Boolean));
  const value = maxTCriticalValue(
    noisy.map(({ totals }) => totals),
    units.count,
    { confidence, seed, counts: noisy.map(({ count }) => count), ...(draws !== undefined && { draws }) },
  );
  // What was observed is one of the patterns: rounding must not lift it above itself.
  return units.count < FEWEST_UNITS ? value : value * (1 + 1e-9);
}

/** Per unit the weighted sum of its values, and how many units have one. */
function unitTotals(values: Float64Array, { count, ofSample, weights }: Units) {
  const totals = new Float64Array(count);
  const there = new Set<number>();
  for (const [sample, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const unit = ofSample[sample] ?? 0;
    totals[unit] = (totals[unit] ?? 0) + (weights[sample] ?? 0) * value;
    there.add(unit);
  }
  return { totals, count: there.size };
}
