import { unitCovariance, type UnitMean, type Units } from "./units.js";

/** Scores that are hits or misses, but for a few (a tie of choices): so large a share of them is one of two values. */
const HITS_AND_MISSES = 0.9;

/**
 * How much one sample can lose where scores are near-binary (exact match, choice accuracy): the distance of the two values.
 * Null where they are not, or never differ.
 */
export function binaryRange(perSample: readonly Float64Array[]): number | null {
  let [low, high, cells] = [Infinity, -Infinity, 0];
  for (const scores of perSample) {
    cells += scores.length;
    for (let sample = 0; sample < scores.length; sample++) {
      const score = scores[sample] ?? NaN;
      if (score < low) low = score;
      if (score > high) high = score;
    }
  }
  let [extreme, others] = [0, 0];
  for (const scores of perSample) {
    for (let sample = 0; sample < scores.length; sample++) {
      const score = scores[sample] ?? NaN;
      if (score === low || score === high) extreme += 1;
      else if (!Number.isNaN(score)) others += 1;
    }
    // Too many already, whatever follows: losses in nats are told from hits by their first columns.
    if (cells - others < HITS_AND_MISSES * cells) return null;
  }
  return high > low && extreme >= HITS_AND_MISSES * (extreme + others) ? high - low : null;
}

/** The most that one unit can lose, on the scale on which the mean is the plain mean over units. */
export function worstUnit(range: number, { count, ofSample, weights }: Units): number {
  const shares = new Float64Array(count);
  for (const [sample, unit] of ofSample.entries()) shares[unit] = (shares[unit] ?? 0) + (weights[sample] ?? 0);
  return range * count * shares.reduce((most, share) => Math.max(most, share), 0);
}

/**
 * A margin contrast with the standard error that it would have if it were 0. Observed spread misleads where losses are rare: a
 * candidate that answered all of 100 samples like the full adapter has no spread, and may still lose every fiftieth. Nor can
 * signs be flipped around a margin: most units are slightly above 0, few far below. So the null is the one nearest to what was seen
 * that has mean 0: losses of a whole unit are added until it has. With mean m, variance s^2 and worst loss A its variance is
 * A (s^2 / (A + m) + m). Without a win it is that of the Poisson score test; with wins that of Tango (1998) for paired
 * proportions, with the wins as observed. Where losses are many it is s^2, nearly.
 *
 * @param worst see `worstUnit`
 */
export function withUnseenLosses(contrast: UnitMean, worst: number): UnitMean {
  const { mean, se, count, flat } = contrast;
  return mean > 0 && !flat ? { ...contrast, se: nullError(mean, se * se * count, count, worst) } : contrast;
}

function nullError(mean: number, variance: number, count: number, worst: number): number {
  return Math.sqrt((worst * (variance / (worst + mean) + mean)) / count);
}

/**
 * The lower bound of the retention by the same error: the largest share r at which base - candidate - r x (base - full), as
 * `withUnseenLosses` sees it, is c standard errors above 0; by bisection.
 *
 * @param gain full - candidate
 * @param gate base - full, above 0 at this critical value
 * @param low the lower bound by the observed error, which this never exceeds
 */
export function retentionWithUnseenLosses(
  gain: UnitMean,
  gate: UnitMean,
  criticalValue: number,
  worst: number,
  low: number,
): number {
  const covariance = unitCovariance(gain.residuals, gate.residuals, gain.count);
  const isProven = (lost: number) => {
    const mean = gain.mean + lost * gate.mean;
    const square = gain.se * gain.se + 2 * lost * covariance + lost * lost * gate.se * gate.se;
    return mean > criticalValue * nullError(Math.max(0, mean), Math.max(0, square) * gain.count, gain.count, worst);
  };
  let [open, proven] = [1 - low, 2 - low];
  for (let step = 0; step < 60 && !isProven(proven); step++) proven += proven - open;
  for (let step = 0; step < 60; step++) {
    const middle = (open + proven) / 2;
    if (isProven(middle)) proven = middle;
    else open = middle;
  }
  return 1 - proven;
}
