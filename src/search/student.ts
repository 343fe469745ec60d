/** z with P(Z <= z) = 0.8: the power that every "how many samples" answer of this package aims at. */
export const Z_POWER_80 = 0.8416212335729143;

/**
 * P(|T| <= t) of Student's t with `freedom` degrees of freedom: the finite series for whole degrees of freedom,
 * Abramowitz & Stegun (1964), 26.7.3 and 26.7.4, with theta = atan(t / sqrt(freedom)).
 */
function centralProbability(theta: number, freedom: number): number {
  const cosine = Math.cos(theta);
  const square = cosine * cosine;
  const odd = freedom % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let power = odd ? 3 : 2; power <= freedom - 2; power += 2) {
    term *= (square * (power - 1)) / power;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
}

/**
 * The t with P(|T| <= t) = `confidence`, by bisection on the angle: both ends are finite and the probability is
 * monotone, so it cannot fail. Precise to about 1e-12 of the angle.
 *
 * @param confidence in (0, 1), both sides together
 * @param freedom degrees of freedom, a whole number of at least 1
 */
export function studentCriticalValue(confidence: number, freedom: number): number {
  const key = `${confidence} ${freedom}`;
  const value = known.get(key) ?? bisected(confidence, freedom);
  known.set(key, value);
  return value;
}

/** A race asks for the same few values at every look, of every candidate. */
const known = new Map<string, number>();

function bisected(confidence: number, freedom: number): number {
  let low = 0;
  let high = Math.PI / 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (centralProbability(middle, freedom) < confidence) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan((low + high) / 2);
}
