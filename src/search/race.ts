import { adaptedSize, type Candidate } from "../lora/candidate.js";
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
  /** Only the fewest layers within the margin are wanted: what has clearly more than one that is proven may leave too. */
  readonly economy?: boolean;
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
 * of `full + margin x (base - full) - candidate` plus c(n) standard errors is below 0, and with `economy` where a clearly
 * smaller one is above 0 by as much; looks fall on whole batches. No claim
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
  {
    strategy,
    units,
    margin,
    economy = false,
    batches = book.scorer.batches.map((_, index) => index),
    onBatch,
  }: RaceOptions,
): Promise<void> {
  let alive = candidates;
  let look = strategy === "race" ? nextLook(0) : Infinity;
  const seen = new Set<number>();
  for (const [position, batch] of batches.entries()) {
    await book.score(alive, batch);
    for (const sample of book.samplesOf([batch])) seen.add(units.ofSample[sample] ?? 0);
    if (seen.size >= look && position < batches.length - 1) {
      const samples = book.samplesOf(batches.slice(0, position + 1));
      const bounds = alive.map((candidate) => boundsAt(book, candidate, samples, margin, units));
      const enough = economy ? smallestProven(alive, bounds, book.scorer.coveredLayers) : Infinity;
      const lost = alive.filter((candidate, index) => {
        if (isUniform(candidate, 0) || isUniform(candidate, 1)) return false;
        return (bounds[index]?.high ?? 0) < 0 || adaptedSize(candidate, book.scorer.coveredLayers) > enough;
      });
      for (const candidate of lost) book.drop(candidate);
      alive = alive.filter((candidate) => !lost.includes(candidate));
      look = nextLook(seen.size);
    }
    onBatch?.(alive, batches.slice(position + 1));
  }
}

/** How far above the smallest proven candidate others stay, should it fail on more samples. */
const FALLBACKS = 2;

/**
 * The size above which no candidate can be chosen any more: where one is within the margin by its c(n), those with more
 * layers are only its fallbacks.
 */
function smallestProven(
  candidates: readonly Candidate[],
  bounds: readonly { readonly low: number }[],
  covered: readonly number[],
): number {
  const sizes = candidates.flatMap((candidate, index) =>
    (bounds[index]?.low ?? 0) > 0 && !isUniform(candidate, 1) ? [adaptedSize(candidate, covered)] : [],
  );
  return sizes.length === 0 ? Infinity : Math.min(...sizes) + FALLBACKS;
}

/**
 * Standard errors beyond c(n) by which a candidate must be above 0 before larger ones leave for it: it was the luckiest of
 * many, and what has left cannot come back.
 */
const PROOF_ROOM = 1.5;

/** The candidate's contrast: c(n) standard errors above the mean, and what is sure below it. */
function boundsAt(
  book: ScoreBook,
  candidate: Candidate,
  samples: readonly number[],
  margin: number,
  units: Units,
): { readonly low: number; readonly high: number } {
  const { base, full } = book.references();
  const scores = book.scoresOf(candidate);
  const values = new Float64Array(full.length).fill(NaN);
  for (const sample of samples) {
    const score = full[sample] ?? NaN;
    values[sample] = score + margin * ((base[sample] ?? NaN) - score) - (scores[sample] ?? NaN);
  }
  const { mean, se, count } = unitMean(values, units);
  const width = giveUpAt(count) * se;
  return { low: mean - width - PROOF_ROOM * se, high: mean + width };
}
