import { adaptedSize, type Candidate } from "../lora/candidate.js";
import { giveUpAt } from "./give-up.js";
import { expectedCriticalValue } from "./power.js";
import { isUniform } from "./scores.js";
import type { ScoreBook } from "./score-book.js";
import { studentCriticalValue } from "./student.js";
import { unitMean, type UnitMean, type Units } from "./units.js";

/** `exhaustive`: every candidate on every sample; `race`: the losing ones leave early. */
export type Strategy = "exhaustive" | "race";

/** From so many layers on a race is worth it; below, an exhaustive search takes few passes anyway. */
export const RACE_FROM_LAYERS = 16;

export interface RaceOptions {
  readonly strategy: Strategy;
  readonly units: Units;
  /** Share of the adapter's gain that a candidate may lose without being given up; 0: it must be better. */
  readonly margin: number;
  /** Of the bounds at the end, in (0, 1). */
  readonly confidence: number;
  /** Nothing is to be proven of the candidates, they are only compared with this one: who loses against it leaves. */
  readonly compareWith?: Candidate;
  /**
   * Only the smallest proven candidate is wanted: what is larger than one that is nearly sure waits, and comes back where this
   * says after the last batch that nothing is proven. Default: nobody waits.
   */
  readonly isProven?: () => boolean;
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
 * Scores candidates batch by batch, all that are left in one trie. In a race, looks at the per-sample contrast
 * `full + margin x (base - full) - candidate` fall on whole batches, and a candidate leaves where it cannot be expected to
 * be proven at the end any more (`outlook`). No claim is made on the way: verdicts come at the end, from all samples, and never
 * about one that left, so looking often needs no correction (racing: Maron & Moore 1994).
 *
 * Base model and full adapter must be among `candidates` or known on these batches; they stay to the end.
 *
 * @throws CancelledError, BudgetSpent with what is known in the book; who waits is marked as dropped there
 */
export async function race(book: ScoreBook, candidates: readonly Candidate[], options: RaceOptions): Promise<void> {
  let waiting = await heat(book, candidates, options);
  while (waiting.length > 0 && options.isProven?.() === false) waiting = await heat(book, waiting, options);
}

/** One way through the batches. @returns the candidates that wait */
async function heat(book: ScoreBook, candidates: readonly Candidate[], options: RaceOptions): Promise<Candidate[]> {
  const { strategy, units, batches = book.scorer.batches.map((_, index) => index), onBatch } = options;
  const unitsIn = (some: readonly number[]) =>
    new Set(book.samplesOf(some).map((sample) => units.ofSample[sample] ?? 0)).size;
  const all = unitsIn(batches);
  const waiting: Candidate[] = [];
  let alive = candidates;
  let look = strategy === "race" ? nextLook(0) : Infinity;
  for (const [position, batch] of batches.entries()) {
    await book.score(alive, batch);
    const scored = batches.slice(0, position + 1);
    const seen = look === Infinity ? 0 : unitsIn(scored);
    if (seen >= look && position < batches.length - 1) {
      const { lost, late } = afterLook(book, alive, book.samplesOf(scored), all, options);
      for (const candidate of [...lost, ...late]) book.drop(candidate);
      waiting.push(...late);
      alive = alive.filter((candidate) => !lost.includes(candidate) && !late.includes(candidate));
      look = nextLook(seen);
    }
    onBatch?.(alive, batches.slice(position + 1));
  }
  for (const candidate of alive) book.readmit(candidate);
  return waiting;
}

/** Who leaves for good, and who waits for a smaller one. */
function afterLook(
  book: ScoreBook,
  alive: readonly Candidate[],
  samples: readonly number[],
  all: number,
  options: RaceOptions,
): { readonly lost: readonly Candidate[]; readonly late: readonly Candidate[] } {
  const runners = alive.filter((candidate) => !isUniform(candidate, 0) && !isUniform(candidate, 1));
  const sizeOf = (candidate: Candidate) => adaptedSize(candidate, book.scorer.coveredLayers);
  const lost: Candidate[] = [];
  const nearlySure: number[] = [];
  for (const candidate of runners) {
    const { isLost, isNearlySure } = outlook(contrastOf(book, candidate, samples, options), all, options);
    if (isLost) lost.push(candidate);
    if (isNearlySure) nearlySure.push(sizeOf(candidate));
  }
  const enough = options.isProven === undefined ? Infinity : Math.min(...nearlySure);
  return { lost, late: runners.filter((candidate) => !lost.includes(candidate) && sizeOf(candidate) > enough) };
}

/** Standard errors of what is still to come, beyond which a candidate is waited for: a wrong guess costs passes, no more. */
const NEARLY_SURE = 1;
/** Two-sided confidence of Student's t that a candidate which is given up could not have been proven. */
const SURELY_LOST = 0.998;
/** The least critical value that there can be is that of so many contrasts (in `bench statistics`, of 24 to 80 cuts: 2.40). */
const FEWEST_CONTRASTS = 3;

/**
 * What n of N samples say about the bound at the end (stochastic curtailment: Lan, Simon & Halperin 1982). The final mean lies
 * around the present one with the standard error sd x sqrt(1 / n - 1 / N), and must be above the critical value times
 * sd / sqrt(N). Lost: even with luck it does not reach the least critical value there can be.
 */
function outlook(
  { mean, se, count }: UnitMean,
  all: number,
  { confidence, compareWith }: RaceOptions,
): { readonly isLost: boolean; readonly isNearlySure: boolean } {
  if (compareWith !== undefined) return { isLost: mean + giveUpAt(count) * se < 0, isNearlySure: false };
  const share = count / all;
  const open = Math.sqrt(Math.max(0, 1 - share)) * se;
  const final = Math.sqrt(share) * se;
  const luck = studentCriticalValue(SURELY_LOST, count - 1) * open;
  return {
    isLost: mean + luck < expectedCriticalValue(all, confidence, FEWEST_CONTRASTS) * final,
    isNearlySure: mean - NEARLY_SURE * open > expectedCriticalValue(all, confidence) * final,
  };
}

function contrastOf(
  book: ScoreBook,
  candidate: Candidate,
  samples: readonly number[],
  { margin, units, compareWith }: RaceOptions,
): UnitMean {
  const { base, full } = book.references();
  const other = compareWith === undefined ? full : book.scoresOf(compareWith);
  const scores = book.scoresOf(candidate);
  const values = new Float64Array(full.length).fill(NaN);
  for (const sample of samples) {
    const allowed = margin * ((base[sample] ?? NaN) - (full[sample] ?? NaN));
    values[sample] = (other[sample] ?? NaN) + allowed - (scores[sample] ?? NaN);
  }
  return unitMean(values, units);
}
