import type { Candidate, Family } from "../lora/candidate.js";
import { boostedBoundaries, windowsAround } from "./families.js";
import type { ScoreBook } from "./score-book.js";
import type { Units } from "./units.js";

/** Independent samples that are enough to see where to look closer. */
const SCREEN_UNITS = 16;

/** What to look closer at, and on which batches: the screen chose, so it does not judge. */
export interface Refinement {
  readonly candidates: readonly Candidate[];
  readonly batches: readonly number[];
}

/**
 * Candidates that depend on scores: windows around the best boundary and prefix, boosted boundaries at and below the best
 * one. Chosen on the first few batches and to be judged on all others, so that no candidate is judged by what found it.
 *
 * @param margin share of the gain that the best may lose
 * @returns null where nothing is asked for or too few batches would be left
 */
export function refine(book: ScoreBook, families: readonly Family[], margin: number, units: Units): Refinement | null {
  const { layers, batches } = book.scorer;
  const screen: number[] = [];
  const seen = new Set<number>();
  for (const [batch, samples] of batches.entries()) {
    if (seen.size >= SCREEN_UNITS) break;
    screen.push(batch);
    for (const sample of samples) seen.add(units.ofSample[sample] ?? 0);
  }
  // A unit may have samples on both sides; whole batches of others must remain.
  const rest = batches.flatMap((samples, batch) =>
    screen.includes(batch) || samples.some((sample) => seen.has(units.ofSample[sample] ?? 0)) ? [] : [batch],
  );
  if (rest.length === 0) return null;
  const cuts = Array.from({ length: layers - 1 }, (_, index) => index + 1);
  const keeps = (id: string) => book.has(id) && lossOf(book, id, screen) <= margin;
  const boundary = cuts.find((cut) => keeps(`upto:${cut}`)) ?? layers - 1;
  const start = cuts.findLast((cut) => keeps(`from:${cut}`)) ?? 1;
  const candidates = [
    ...(families.includes("window") ? windowsAround(layers, start, boundary) : []),
    ...(families.includes("boundary+boost") ? boostedBoundaries(layers, boundary) : []),
  ].filter(({ id }) => !book.has(id));
  return candidates.length === 0 ? null : { candidates, batches: rest };
}

/** Share of the adapter's gain that a candidate loses on some batches. */
function lossOf(book: ScoreBook, id: string, batches: readonly number[]): number {
  const { base, full } = book.references();
  const scores = book.scoresById(id);
  const samples = book.samplesOf(batches);
  const sum = (column: Float64Array) => samples.reduce((total, sample) => total + (column[sample] ?? NaN), 0);
  const gain = sum(base) - sum(full);
  return gain > 0 ? (sum(scores) - sum(full)) / gain : Infinity;
}
