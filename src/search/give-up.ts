/**
 * Half-width, in standard errors, beyond which a candidate is given up after n independent samples (DESIGN "Race"). Between
 * them c is linear in 1 / n, as the quantiles of Student's t nearly are (Cornish & Fisher 1938).
 */
const GIVE_UP: readonly (readonly [n: number, c: number])[] = [
  [8, 5.4],
  [16, 4],
  [32, 3.4],
  [64, 3.1],
];

/** @param n independent samples, at least 8 */
export function giveUpAt(n: number): number {
  const above = GIVE_UP.findIndex(([samples]) => n <= samples);
  const [high, highC] = GIVE_UP[above] ?? [Infinity, 3.1];
  const [low, lowC] = GIVE_UP[above - 1] ?? [8, 5.4];
  if (above <= 0) return above < 0 ? 3.1 : 5.4;
  const share = (1 / low - 1 / n) / (1 / low - 1 / high);
  return lowC + share * (highC - lowC);
}
