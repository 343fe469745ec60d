import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { requireMemory, type MemoryEstimate } from "../engine/memory-estimate.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import type { Family } from "../lora/candidate.js";
import { scaleCandidates } from "../search/families.js";
import { DEFAULT_CONFIDENCE, DEFAULT_MARGIN } from "../search/judge-options.js";
import { smallestDifference } from "../search/power.js";
import { RACE_FROM_LAYERS, type Strategy } from "../search/race.js";
import { candidatesBeforehand } from "../search/search.js";
import { subsetPasses } from "../search/subset.js";
import { checkCalibrationOptions } from "./check-options.js";
import { Guard, type GuardChoices, type GuardPlan } from "./guard.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";
import { foldsOfBatches, packingOf, type Packing } from "./packing.js";
import { openScoring, type AnswerChoices, type Scoring } from "./scoring.js";

/** What a calibration will cost and can show; nothing has been scored. Plain data. */
export interface CalibrationPlan {
  readonly samples: number;
  /** Independent samples: groups count once. */
  readonly independentSamples: number;
  readonly scoredTokens: number;
  readonly promptTokens: number;
  readonly candidates: number;
  /** Layer-token evaluations / (L x tokens of all samples), the self-check included. */
  readonly passes: number;
  /** `passes` is the most: in a race losing candidates leave early, usually after a tenth of it. */
  readonly mayEndEarly: boolean;
  /** Of `passes`: the subset search. */
  readonly subsetPasses: number;
  readonly naivePasses: number;
  /** Passes that are added where a cut would be called better; 0 where the controls are in `passes`. */
  readonly controlPasses: number;
  /** Wall time of what of `passes` no journal is known to hold, measured on the smallest batch; null with `measure: false`. */
  readonly seconds: number | null;
  /** Bytes beyond model and adapter. */
  readonly memory: MemoryEstimate;
  /** Bytes of kept states that travel to and from RPC servers, at most; 0 without any. */
  readonly rpcStateBytes: number;
  /** Smallest difference these samples can show with 80 % power, as a share of the adapter's gain; null: none. */
  readonly smallestShare: number | null;
  /** Share of the gain that may be lost. */
  readonly margin: number;
  /** Of the guard set; null without one. Its memory is in `memory`, its passes and time are apart. */
  readonly guard: GuardPlan | null;
}

export interface PlanOptions extends ScoreSessionOptions, GuardChoices {
  /** As for `calibrate`. */
  readonly objective?: ObjectiveChoice | undefined;
  readonly answers?: AnswerChoices["answers"];
  readonly families?: readonly Family[] | undefined;
  readonly strategy?: Strategy | undefined;
  readonly holdout?: number | undefined;
  readonly margin?: number | undefined;
  readonly confidence?: number | undefined;
  /** Run the smallest batch once or twice for the time estimate; default true. */
  readonly measure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The cost of `calibrate` with the same options.
 *
 * @throws MemoryError NOT_ENOUGH_MEMORY, BackendError, CancelledError
 */
export async function plan(adapter: Adapter, samples: SampleSet, options: PlanOptions = {}): Promise<CalibrationPlan> {
  checkCalibrationOptions(options);
  const packing = packingOf(samples, options);
  await using session = adapter.openSession(packing.scored, { ...options, ...packing });
  await using scoring = openScoring(adapter, samples, session, packing, options);
  await using guard = Guard.open(adapter, samples, options);
  return await planSession({ session, packing, scoring, guard }, adapter, samples, options);
}

/** What a calibration works with. */
export interface Prepared {
  readonly session: ScoreSession;
  readonly packing: Packing;
  readonly scoring: Scoring;
  readonly guard: Guard | null;
}

/** The part of {@link plan} for a session that goes on to score. */
export async function planSession(
  { session, packing, scoring, guard }: Prepared,
  adapter: Adapter,
  samples: SampleSet,
  {
    objective,
    families = ["boundary"],
    strategy,
    margin = DEFAULT_MARGIN,
    confidence = DEFAULT_CONFIDENCE,
    measure = true,
    signal,
  }: PlanOptions,
): Promise<CalibrationPlan> {
  const { layers } = adapter.model;
  const { scorer } = scoring;
  const controls = scaleCandidates(layers);
  const controlsAsked = families.includes("scale");
  const candidates = candidatesBeforehand(layers, adapter.file.layers, families);
  const races = (strategy ?? (layers >= RACE_FROM_LAYERS ? "race" : "exhaustive")) === "race";
  const folds = foldsOfBatches(scorer.batches, packing.folds);
  const subset = folds === undefined ? 0 : await subsetPasses(scorer, folds);
  const judged = judgedBy(objective);
  const tokenScore = judged.by === "tokens" ? judged.score : "nll";
  const cost = session.cost(candidates, { objective: tokenScore });
  const ofSamples = await session.estimateMemory(candidates, signal, tokenScore);
  // Both sessions are open until the result is told.
  const memory = guard === null ? ofSamples : sumOf(ofSamples, await guard.estimateMemory(candidates, signal));
  requireMemory(memory, session.batchTokens);
  const firstLook = scoring.firstLookPasses(candidates);
  const searched = scorer.cost(candidates) + subset;
  // What a journal knows is not computed again. Which subsets will be asked for is not known before: all count as left.
  const searchLeft = scoring.passesLeft(candidates) + subset;
  const left = session.passesLeft(candidates, { objective: tokenScore }) / cost.passes;
  const tokensLeft = left * (cost.checkPasses + firstLook);
  const seconds = async () =>
    (searchLeft > 0 ? searchLeft * (await scoring.secondsPerPass(signal)) : 0) +
    (tokensLeft > 0 ? tokensLeft * (await session.probe(signal)) : 0);
  const secondsPerToken = async () => (await session.probe(signal)) / session.tokens;
  return {
    samples: samples.samples.length,
    independentSamples: samples.groups,
    scoredTokens: samples.scoredTokens,
    promptTokens: samples.promptTokens,
    candidates: candidates.length,
    passes: firstLook + cost.checkPasses + searched,
    mayEndEarly: races,
    subsetPasses: subset,
    naivePasses: (firstLook > 0 ? 2 : 1) * cost.naivePasses,
    controlPasses: controlsAsked ? 0 : scorer.cost(controls),
    seconds: measure ? await seconds() : null,
    memory,
    rpcStateBytes: cost.rpcStateBytes,
    smallestShare: smallestDifference({ units: samples.groups, confidence }),
    margin,
    guard: guard && guard.plan(candidates, measure ? await secondsPerToken() : null),
  };
}

function sumOf(a: MemoryEstimate, b: MemoryEstimate): MemoryEstimate {
  return {
    states: a.states + b.states,
    logits: a.logits + b.logits,
    compute: a.compute + b.compute,
    cache: a.cache + b.cache,
    // The same adapter's.
    factors: a.factors,
  };
}
