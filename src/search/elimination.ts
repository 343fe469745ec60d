import type { Candidate } from "../lora/candidate.js";
import { BoostCurve } from "./boost-curve.js";
import { boostsToTry, roundedBoost } from "./boost.js";
import { candidateOf, scalesWithout } from "./layer-scales.js";
import type { Unit } from "./scorer.js";
import { UnitCosts, type Measured } from "./unit-costs.js";

/** Some units out, one strength for all that is left. */
export interface SubsetState {
  /** In the order in which they went. */
  readonly out: readonly Unit[];
  readonly boost: number;
}

/** One round of greedy elimination: what went, cheapest first, and the strength of what was left. */
export interface EliminationRound {
  readonly removed: readonly Unit[];
  readonly boost: number;
}

export interface EliminationOptions {
  /** What may go, neighbours side by side. */
  readonly units: readonly Unit[];
  readonly layers: number;
  /** Batches to rank and fit on, by index. Rounds take turns through them, so that all of them have a say. */
  readonly batches: readonly number[];
  readonly samplesOf: (batch: number) => number;
  /** Samples of the first look of a round, at least. */
  readonly firstLook: number;
  /** Samples of a whole round, at least. */
  readonly wholeRound: number;
  /** Samples of a round that its strength is fitted on, at least: fewer, since the loss is flat around its minimum. */
  readonly fitted: number;
  /** Units to drop in one round. */
  readonly step: number;
  /** Mean score of each candidate over the samples of these batches. */
  readonly means: (candidates: readonly Candidate[], batches: readonly number[]) => Promise<readonly Measured[]>;
}

/** Of the units of a round, this share is looked at twice. */
const KEPT_FOR_SECOND_LOOK = 0.4;
/** After each batch of the second look, this share of the rest stays: the order of the cheapest is what a round is about. */
const KEPT_IN_SECOND_LOOK = 0.67;
/** Of the units left, this share is tried at all from the second round on, cheapest in their last measurement first. */
const TRIED_AGAIN = 0.6;

/**
 * Greedy backward elimination (Guyon & Elisseeff 2003, 4.2) in the boosted state: in each round every unit left is knocked
 * out of what is left by now, a first look drops the costlier ones, a second look at the rest orders them, and the
 * cheapest few go, no two neighbours. Then one strength is fitted for all that is left. Units that were costly in the round
 * before are passed over, since costs grow as others go (lazy greedy: Minoux 1978).
 */
export async function eliminate(options: EliminationOptions): Promise<readonly EliminationRound[]> {
  const { units, layers, step, means } = options;
  const turns = new BatchTurns(options.batches, options.samplesOf);
  const removals: (readonly Unit[])[] = [];
  const costs = new UnitCosts();
  const curve = new BoostCurve();
  let left = [...units];
  let state: SubsetState = { out: [], boost: 1 };
  while (left.length > step) {
    const wanted = Math.min(step, left.length - 1);
    const share = removals.length === 0 ? 1 : TRIED_AGAIN;
    let tried = costs.byKnown(left).slice(0, Math.max(3 * wanted, Math.ceil(left.length * share)));
    const look = async (batches: readonly number[]) => {
      const candidates = tried.map((unit) => knockOut(layers, state, unit));
      costs.add(tried, await means(candidates, batches));
      tried = costs.ranked(tried);
    };
    const { first, second } = turns.next(options.firstLook, options.wholeRound);
    const narrow = (kept: number, fewest: number) => {
      tried = tried.slice(0, Math.max(Math.ceil(fewest), Math.ceil(tried.length * kept)));
    };
    await look(first);
    narrow(KEPT_FOR_SECOND_LOOK, 2 * wanted + 1);
    for (const [index, batch] of second.entries()) {
      if (index > 0) narrow(KEPT_IN_SECOND_LOOK, 1.5 * wanted + 1);
      await look([batch]);
    }
    const removed = withoutNeighbours(tried, units, wanted);
    costs.endRound(tried);
    left = left.filter((unit) => !removed.includes(unit));
    state = { ...state, out: [...state.out, ...removed] };
    const boosts = boostsToTry(state.boost);
    const fitted = await means(
      boosts.map((boost) => subsetCandidate(layers, { ...state, boost })),
      lastBatches([...first, ...second], options.samplesOf, options.fitted),
    );
    const at = (index: number) => fitted[index]?.mean ?? 0;
    const out = state.out.length / units.length;
    curve.add(out, boosts, [at(0), at(1), at(2)]);
    state = { ...state, boost: curve.at(out) };
    removals.push(removed);
  }
  // Later rounds tell more about the strengths of earlier ones.
  let out = 0;
  return removals.map((removed) => {
    out += removed.length;
    return { removed, boost: curve.at(out / units.length) };
  });
}

/** The state with `size` units out: within a round the cheapest go first, and the strength lies between its ends. */
export function stateAt(rounds: readonly EliminationRound[], size: number): SubsetState {
  let state: SubsetState = { out: [], boost: 1 };
  for (const { removed, boost } of rounds) {
    const room = size - state.out.length;
    if (room <= 0) break;
    const share = Math.min(1, room / removed.length);
    state = {
      out: [...state.out, ...removed.slice(0, room)],
      boost: roundedBoost(state.boost * (boost / state.boost) ** share),
    };
  }
  return state;
}

/** One strength for all that is left, so that knock-outs of a round share all that lies below them. */
function subsetCandidate(layers: number, { out, boost }: SubsetState): Candidate {
  return candidateOf("subset", scalesWithout(layers, out, boost));
}

function knockOut(layers: number, state: SubsetState, unit: Unit): Candidate {
  return subsetCandidate(layers, { ...state, out: [...state.out, unit] });
}

/** Neighbours do similar work: the second of two is no longer cheap once the first is gone. */
function withoutNeighbours(ordered: readonly Unit[], all: readonly Unit[], wanted: number): Unit[] {
  const taken: Unit[] = [];
  for (const unit of ordered) {
    if (taken.length === wanted) break;
    const place = all.indexOf(unit);
    if (taken.every((other) => Math.abs(all.indexOf(other) - place) > 1)) taken.push(unit);
  }
  return taken;
}

/** The last batches that hold `wanted` samples together: of a round, those that had the least say in what went. */
function lastBatches(
  batches: readonly number[],
  samplesOf: (batch: number) => number,
  wanted: number,
): readonly number[] {
  let taken = 0;
  const from = batches.findLastIndex((batch) => (taken += samplesOf(batch)) >= wanted);
  return batches.slice(Math.max(0, from));
}

/** Takes batches in turn, each round where the last one stopped. */
class BatchTurns {
  readonly #batches: readonly number[];
  readonly #samplesOf: (batch: number) => number;
  #turn = 0;

  constructor(batches: readonly number[], samplesOf: (batch: number) => number) {
    this.#batches = batches;
    this.#samplesOf = samplesOf;
  }

  /** The next batches that hold `whole` samples together, no batch twice; those that hold the first `few` apart. */
  next(few: number, whole: number): { readonly first: readonly number[]; readonly second: readonly number[] } {
    const first: number[] = [];
    const second: number[] = [];
    let taken = 0;
    while (taken < whole && first.length + second.length < this.#batches.length) {
      const batch = this.#batches[this.#turn % this.#batches.length] ?? 0;
      (taken < few ? first : second).push(batch);
      taken += this.#samplesOf(batch);
      this.#turn += 1;
    }
    return { first, second };
  }
}
