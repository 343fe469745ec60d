/** How far apart the three strengths of one fit are: wide enough that their differences stand out of the noise. */
const STEP = 1.12;
export const LARGEST_BOOST = 4;

/**
 * Three strengths around where the best one is expected: at `boost` and above, since what is left needs more as more goes; at
 * the largest strength below it, as they must differ.
 */
export function boostsToTry(boost: number): readonly [number, number, number] {
  const lowest = roundedBoost(Math.min(boost, LARGEST_BOOST / STEP ** 2));
  return [lowest, roundedBoost(lowest * STEP), roundedBoost(lowest * STEP ** 2)];
}

/**
 * The vertex of the parabola through three mean scores over the logarithm of the strength (successive parabolic
 * interpolation: Brent 1973, 5), kept within half a step of what was tried.
 *
 * @param boosts three ascending strengths above 0
 * @param means their mean scores, lower is better
 */
export function fittedBoost(
  boosts: readonly [number, number, number],
  means: readonly [number, number, number],
): number {
  const [x0, x1, x2] = [Math.log(boosts[0]), Math.log(boosts[1]), Math.log(boosts[2])];
  const [low, high] = [x0 - (x1 - x0) / 2, x2 + (x2 - x1) / 2];
  const slope01 = (means[1] - means[0]) / (x1 - x0);
  const slope12 = (means[2] - means[1]) / (x2 - x1);
  const curvature = (slope12 - slope01) / (x2 - x0);
  const best = means.indexOf(Math.min(...means));
  // Without a minimum between them, the best end and half a step beyond it.
  const vertex = curvature > 0 ? (x0 + x1) / 2 - slope01 / (2 * curvature) : best === 0 ? low : best === 2 ? high : x1;
  return roundedBoost(Math.exp(Math.min(high, Math.max(low, vertex))));
}

/** A strength that was found over several rounds, kept within half a step of what its round has tried. */
export function limitedBoost(boost: number, tried: readonly [number, number, number]): number {
  const beyond = Math.sqrt(STEP);
  return roundedBoost(Math.min(tried[2] * beyond, Math.max(tried[0] / beyond, boost)));
}

/** Two decimals: a name must say the whole strength, and the loss is flat around its minimum. */
export function roundedBoost(boost: number): number {
  return Math.min(LARGEST_BOOST, Math.max(0.25, Math.round(boost * 100) / 100));
}
