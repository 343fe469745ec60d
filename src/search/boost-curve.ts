import { fittedBoost, limitedBoost } from "./boost.js";

type Three = readonly [number, number, number];

/** Rounds from which the curve may bend. Fewer say too little about it. */
const ROUNDS_TO_BEND = 4;

/**
 * The strength that is best for what is left, over the share of units that are out. A few samples place one round's minimum
 * within some ten per cent only, but it moves slowly from round to round: so all rounds are fitted together. The loss of
 * every round is taken as a parabola in the logarithm of the strength, of one curvature, whose vertex is b1 t + b2 t^2 at
 * share t: with nothing out, nothing is to be won back. Least squares over the differences between strengths of a round.
 */
export class BoostCurve {
  readonly #rounds: { readonly share: number; readonly boosts: Three; readonly means: Three }[] = [];

  /** @param means mean scores of the round's strengths on the same samples, lower is better */
  add(share: number, boosts: Three, means: Three): void {
    this.#rounds.push({ share, boosts, means });
  }

  /** The best strength where `share` of the units are out; of the nearest round alone while all together say nothing. */
  at(share: number): number {
    const nearest = this.#rounds.reduce((best, round) =>
      Math.abs(round.share - share) <= Math.abs(best.share - share) ? round : best,
    );
    const alone = fittedBoost(nearest.boosts, nearest.means);
    if (this.#rounds.length === 1) return alone;
    const bends = this.#rounds.length >= ROUNDS_TO_BEND;
    const rows = this.#rounds.flatMap(({ share: t, boosts, means }) =>
      [0, 1].map((low) => {
        const [x, y] = [Math.log(boosts[low] ?? 1), Math.log(boosts[low + 1] ?? 1)];
        const fall = (means[low + 1] ?? 0) - (means[low] ?? 0);
        return { terms: [y * y - x * x, -t * (y - x), ...(bends ? [-t * t * (y - x)] : [])], fall };
      }),
    );
    const [curvature = 0, b1 = 0, b2 = 0] = leastSquares(rows) ?? [];
    if (!(curvature > 0)) return alone;
    return limitedBoost(Math.exp((b1 * share + b2 * share * share) / (2 * curvature)), nearest.boosts);
  }
}

/** Solves the normal equations by Gaussian elimination; null where they have no single solution. */
function leastSquares(rows: readonly { readonly terms: readonly number[]; readonly fall: number }[]): number[] | null {
  const size = rows[0]?.terms.length ?? 0;
  const matrix = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (__, j) => sum(rows, ({ terms }) => (terms[i] ?? 0) * (terms[j] ?? 0))),
    sum(rows, ({ terms, fall }) => (terms[i] ?? 0) * fall),
  ]);
  for (const [i, pivot] of matrix.entries()) {
    // Positive semidefinite: a pivot of nothing means that the terms depend on each other.
    const head = pivot[i] ?? 0;
    if (!(head > 1e-15)) return null;
    for (const [j, row] of matrix.entries()) {
      if (j === i) continue;
      const factor = (row[i] ?? 0) / head;
      for (const [k, value] of pivot.entries()) row[k] = (row[k] ?? 0) - factor * value;
    }
  }
  return matrix.map((row, i) => (row[size] ?? 0) / (row[i] ?? 1));
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
