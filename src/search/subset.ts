import type { Candidate } from "../lora/candidate.js";
import { candidateName } from "./candidate-name.js";
import { eliminate, stateAt, type EliminationRound, type SubsetState } from "./elimination.js";
import { candidateOf, commonStrength, scalesWithout, spreadScales } from "./layer-scales.js";
import { seededRandom, shuffledIndices } from "./resample.js";
import type { ScoreBook } from "./score-book.js";
import type { SearchScorer, Unit } from "./scorer.js";
import type { Measured } from "./unit-costs.js";

/**
 * Rounds from everything down to nothing: as many as pay, since costs change as units go, but a round costs in proportion to
 * the units. With these, a search costs between four and six exhaustive boundary searches.
 */
const [FEWEST_ROUNDS, MOST_ROUNDS, UNITS_IN_ALL_ROUNDS] = [10, 15, 450];
/** Samples on which a round orders its cheapest units, and those of them on which it fits the strength. */
const WHOLE_ROUND = 32;
const FITTED_ON = 20;
/** Knock-outs x samples of a round's first look: few units leave room for more samples. */
const FIRST_LOOK_WORK = 360;
/** Random subsets per size, and the samples that they and the unboosted subset are shown on: estimates, not claims. */
const RANDOM_SUBSETS = 2;
const SHOWN_ON = 20;

export interface SubsetOptions {
  readonly seed: number;
  /** Units out at which the procedure is judged; default: after each round. */
  readonly sizes?: readonly number[];
}

/** One size of the judged curve. */
export interface SubsetPoint {
  /** What would be written: ranked on all samples but those held out. Its column in the book is judged on others. */
  readonly candidate: Candidate;
  /** The mean strength of what is kept. */
  readonly boost: number;
  readonly out: readonly Unit[];
  /** Mean score of the same subset without boost, and of random ones of its size with its boost, beside the references. */
  readonly shown: ShownScores;
}

/** Mean scores on the same few samples. */
export interface ShownScores {
  readonly samples: number;
  readonly base: number;
  readonly full: number;
  /** The subset that would be written: it was ranked on these samples too. */
  readonly boosted: number;
  readonly unboosted: number;
  readonly random: readonly number[];
}

const NOTHING_SHOWN: ShownScores = { samples: 0, base: 0, full: 0, boosted: 0, unboosted: 0, random: [] };

/** What a subset search found, smallest cut first. */
export interface SubsetOutcome {
  readonly points: readonly SubsetPoint[];
  /** `cross-fit`: ranked on one half of the samples, judged on the other, both ways; `holdout`: judged on samples kept aside. */
  readonly judgedBy: "cross-fit" | "holdout";
  readonly units: readonly Unit[];
}

/**
 * Subset search with boost, judged on samples that neither ranked nor fitted.
 *
 * The batches lie in two folds. Cross-fit (the default): the elimination runs on each fold and its subsets are scored on the
 * other, so every sample judges once; the two make one column per size, the claim of the procedure at that size
 * (cross-fitting: Chernozhukov et al. 2018). The subset that is written is ranked on all samples. With a holdout (folds 0
 * and 2) the elimination runs once, on fold 0, and the written subset itself is judged on fold 2.
 *
 * Enters one column per size into the book.
 *
 * @param folds fold of every batch
 * @throws CancelledError, BudgetSpent
 */
export async function subsetSearch(
  book: ScoreBook,
  folds: readonly number[],
  { seed, sizes }: SubsetOptions,
): Promise<SubsetOutcome> {
  const { scorer } = book;
  const units = unitsOf(scorer);
  const all = folds.map((_, batch) => batch);
  const inFold = (fold: number) => all.filter((batch) => folds[batch] === fold);
  const means = meansOn(book);
  const rank = (batches: readonly number[]) => eliminate({ ...plannedRounds(scorer, batches), means });
  const isHoldout = folds.includes(2);

  const paths = isHoldout
    ? [{ rounds: await rank(inFold(0)), judges: inFold(2) }]
    : [
        { rounds: await rank(inFold(0)), judges: inFold(1) },
        { rounds: await rank(inFold(1)), judges: inFold(0) },
      ];
  const written = isHoldout ? (paths[0]?.rounds ?? []) : await rank(all);
  const largest = Math.min(...paths.map(({ rounds }) => sizeOf(rounds)), sizeOf(written));
  const judged = (sizes ?? sizesOf(written)).filter((size) => size > 0 && size <= largest);
  const columns = judged.map(() => new Float64Array(scorer.groups.length).fill(NaN));
  for (const { rounds, judges } of paths) {
    const candidates = judged.map((size) => subsetOf(scorer, stateAt(rounds, size)));
    for (const batch of judges) {
      const scores = await book.compute(candidates, [batch]);
      for (const sample of book.samplesOf([batch])) {
        for (const [index, column] of columns.entries()) column[sample] = scores[index]?.[sample] ?? NaN;
      }
    }
  }
  const states = judged.map((size) => stateAt(written, size));
  const shown = await shownScores(book, states, units, seed);
  const points = states.map((state, index): SubsetPoint => {
    const candidate = subsetOf(scorer, state);
    return { candidate, ...state, shown: shown[index] ?? NOTHING_SHOWN };
  });
  for (const [index, { candidate }] of points.entries()) book.enter(candidate, columns[index] ?? new Float64Array());
  return { points, judgedBy: isHoldout ? "holdout" : "cross-fit", units };
}

/** Passes that a subset search would take: the procedure itself, with made-up scores. */
export async function subsetPasses(scorer: SearchScorer, folds: readonly number[]): Promise<number> {
  const all = folds.map((_, batch) => batch);
  const random = seededRandom(0, 5);
  let passes = 0;
  const rank = (batches: readonly number[]) =>
    eliminate({
      ...plannedRounds(scorer, batches),
      means: (candidates, chosen) => {
        passes += scorer.cost(candidates, chosen);
        return Promise.resolve(candidates.map(() => ({ mean: random.nextUint32(), samples: 1 })));
      },
    });
  for (const fold of new Set(folds)) if (fold < 2) await rank(all.filter((batch) => folds[batch] === fold));
  const rounds = await rank(all);
  const judged = sizesOf(rounds).length;
  const samples = scorer.batches.reduce((sum, batch) => sum + batch.length, 0);
  return passes + judged * (1 + ((RANDOM_SUBSETS + 2) * Math.min(samples, SHOWN_ON)) / samples);
}

/** Two folds by turns, where the scorer has none of its own. */
export function alternatingFolds(batches: number): readonly number[] {
  return Array.from({ length: batches }, (_, batch) => batch % 2);
}

function unitsOf({ units, coveredLayers }: SearchScorer): readonly Unit[] {
  return units ?? [...coveredLayers].sort((a, b) => a - b).map((layer): Unit => ({ layer, part: null }));
}

/** What is judged and written: the boost is spread over what is kept, which a name of its own says; see `spreadScales`. */
function subsetOf(scorer: SearchScorer, { out, boost }: SubsetState): Candidate {
  const scales = spreadScales(scorer.layers, { units: unitsOf(scorer), out, boost });
  if (commonStrength(scales) !== null) return candidateOf("subset", scales);
  const name = candidateName(scalesWithout(scorer.layers, out, boost));
  return candidateOf("subset", scales, `spread:${name.replace(/^without:/, "")}`);
}

function plannedRounds(scorer: SearchScorer, batches: readonly number[]) {
  const units = unitsOf(scorer);
  return {
    units,
    layers: scorer.layers,
    batches,
    samplesOf: (batch: number) => scorer.batches[batch]?.length ?? 0,
    firstLook: Math.max(6, Math.round(FIRST_LOOK_WORK / units.length)),
    wholeRound: WHOLE_ROUND,
    fitted: FITTED_ON,
    step: Math.max(1, Math.round(units.length / roundsOf(units.length))),
  };
}

function roundsOf(units: number): number {
  return Math.min(MOST_ROUNDS, Math.max(FEWEST_ROUNDS, UNITS_IN_ALL_ROUNDS / units));
}

/** Ranking scores are used once and never claimed from, so they are not written down. */
function meansOn(book: ScoreBook) {
  return async (candidates: readonly Candidate[], batches: readonly number[]): Promise<readonly Measured[]> => {
    const sums = candidates.map(() => 0);
    for (const batch of batches) {
      const scores = await book.compute(candidates, [batch]);
      for (const sample of book.samplesOf([batch])) {
        for (const [index, column] of scores.entries()) sums[index] = (sums[index] ?? 0) + (column[sample] ?? NaN);
      }
    }
    const samples = book.samplesOf(batches).length;
    return sums.map((sum) => ({ mean: sum / samples, samples }));
  };
}

function sizeOf(rounds: readonly EliminationRound[]): number {
  return rounds.reduce((sum, { removed }) => sum + removed.length, 0);
}

/** Units out after each round. */
function sizesOf(rounds: readonly EliminationRound[]): readonly number[] {
  return rounds.map((_, index) => sizeOf(rounds.slice(0, index + 1)));
}

/** The same subsets without boost, and random ones of their sizes with it, on the first few samples. */
async function shownScores(
  book: ScoreBook,
  states: readonly SubsetState[],
  units: readonly Unit[],
  seed: number,
): Promise<readonly ShownScores[]> {
  const { scorer } = book;
  const { batches } = scorer;
  const random = seededRandom(seed, 4);
  const chosen: number[] = [];
  while (chosen.length < batches.length && book.samplesOf(chosen).length < SHOWN_ON) chosen.push(chosen.length);
  const samples = book.samplesOf(chosen);
  const mean = (scores: ArrayLike<number>) =>
    samples.reduce((sum, sample) => sum + (scores[sample] ?? NaN), 0) / samples.length;
  const randomOut = (size: number) =>
    Array.from(shuffledIndices(units.length, random).slice(0, size)).flatMap((index) => units[index] ?? []);
  const asked = states.map(({ out, boost }) => ({
    boosted: subsetOf(scorer, { out, boost }),
    unboosted: subsetOf(scorer, { out, boost: 1 }),
    random: Array.from({ length: RANDOM_SUBSETS }, () => subsetOf(scorer, { out: randomOut(out.length), boost })),
  }));
  const means = await meansOn(book)(
    asked.flatMap((one) => [one.boosted, one.unboosted, ...one.random]),
    chosen,
  );
  const { base, full } = book.references();
  return asked.map((_, index): ShownScores => {
    const each = 2 + RANDOM_SUBSETS;
    const [boosted, unboosted, ...others] = means.slice(index * each, (index + 1) * each);
    return {
      samples: samples.length,
      base: mean(base),
      full: mean(full),
      boosted: boosted?.mean ?? NaN,
      unboosted: unboosted?.mean ?? NaN,
      random: others.map((one) => one.mean),
    };
  });
}
