/** What candidates are judged by. Statistics sees losses only; a score that is better when higher turns its sign at the border. */
export interface Objective {
  /** `nll`, `kl`, or a metric's name. */
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** Of every difference that is told: `nats per token`, `points of 100`. */
  readonly unit: string;
}

export const NLL: Objective = { name: "nll", higherIsBetter: false, unit: "nats per token" };
/** Divergence from the full adapter: 0 for it by definition, so a candidate can be as good, never better. */
export const KL: Objective = { name: "kl", higherIsBetter: false, unit: "nats per token" };

/** Scores as the losses that a `ScoreTable` holds, and back: the same step both ways. */
export function turned(scores: ArrayLike<number>, { higherIsBetter }: Objective): Float64Array {
  const other = new Float64Array(scores);
  // 0 has no sign to turn.
  return higherIsBetter ? other.map((score) => (score === 0 ? score : -score)) : other;
}
