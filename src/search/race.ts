import type { Candidate } from "../lora/candidate.js";
import { giveUpAt } from "./give-up.js";
import { isUniform } from "./scores.js";
import type { ScoreBook } from "./score-book.js";
import { unitMean, type Units } from "./units.js";

/** `exhaustive`: every candidate on every sample; `race`: the losing ones leave early. */
export type Strategy = "exhaustive" | "race";

/** From so many layers on a race is worth it; below, an exhaustive search takes few passes anyway. */
export const RACE_FROM_LAYERS = 16;

export interface RaceOptions {
  readonly strategy: Strategy;
  readonly units: Units;
  /** Share of the adapter's gain that a candidate may lose without being given up; 0: it must be better. */
  readonly margin: number;
  /** Batches to score on, in order; default all. */
  readonly batches?: readonly number[];
  /** Called after each batch with the candidates that are left and the batches still to come. */
  readonly onBatch?: (alive: readonly Candidate[], left: readonly number[]) => void;
}

/** 8, 16, 24, 32, 48, 64, 96, 128, 192, ...: the looks get rarer as less is to be saved. */
export function nextLook(n: number): number {
  if (n < 8) return 8;
  if (n < 32) return 8 * (Math.floor(n / 8) + 1);
  const power = 2 ** Math.floor(Math.log2(n));
  return n < 1.5 * power ? 1.5 * power : 2 * power;
}

/**
 * Scores candidates batch by batch, all that are left in one trie. In a race, a candidate leaves after a look where the mean
 * of `full + margin x (base - full) - candidate` plus c(n) standard errors is below 0; looks fall on whole batches. No claim
 * is made on the way: verdicts come at the end, from all samples, and never about one that left, so looking often
 * needs no correction (racing: Maron & Moore 1994).
 *
 * Base model and full adapter must be among `candidates` or known on these batches; they stay to the end.
 *
 * @throws CancelledError, BudgetSpent with what is known in the book
 */
export async function race(
  book: ScoreBook,
  candidates: readonly Candidate[],
  { strategy, units, margin, batches = book.scorer.batches.map((_, index) => index), onBatch }: RaceOptions,
): Promise<void> {
  let alive = candidates;
  let look = strategy === "race" ? nextLook(0) : Infinity;
  const seen = new Set<number>();
  for (const [position, batch] of batches.entries()) {
    await book.score(alive, batch);
    for (const sample of book.samplesOf([batch])) seen.add(units.ofSample[sample] ?? 0);
    if (seen.size >= look && position < batches.length - 1) {
      const samples = book.samplesOf(batches.slice(0, position + 1));
      const lost = alive.filter((candidate) => isLost(book, candidate, samples, margin, units));
      for (const candidate of lost) book.drop(candidate);
      alive = alive.filter((candidate) => !lost.includes(candidate));
      look = nextLook(seen.size);
    }
    onBatch?.(alive, batches.slice(position + 1));
  }
}

function isLost(
  book: ScoreBook,
  candidate: Candidate,
  samples: readonly number[],
  margin: number,
  units: Units,
): boolean {
  if (isUniform(candidate, 0) || isUniform(candidate, 1)) return false;
  const { base, full } = book.references();
  const scores = book.scoresOf(candidate);
  const values = new Float64Array(full.length).fill(NaN);
  for (const sample of samples) {
    const score = full[sample] ?? NaN;
    values[sample] = score + margin * ((base[sample] ?? NaN) - score) - (scores[sample] ?? NaN);
  }
  const { mean, se, count } = unitMean(values, units);
  return mean + giveUpAt(count) * se < 0;
}
