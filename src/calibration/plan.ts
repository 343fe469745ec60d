import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { requireMemory, type MemoryEstimate } from "../engine/memory-estimate.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective, ScoreSessionOptions } from "../engine/session-types.js";
import type { Family } from "../lora/candidate.js";
import { scaleCandidates } from "../search/families.js";
import { DEFAULT_CONFIDENCE, DEFAULT_MARGIN } from "../search/judge-options.js";
import { smallestDifference } from "../search/power.js";
import { RACE_FROM_LAYERS, type Strategy } from "../search/race.js";
import { candidatesBeforehand } from "../search/search.js";
import { subsetPasses } from "../search/subset.js";
import { checkCalibrationOptions } from "./check-options.js";
import { foldsOfBatches, packingOf, sessionScorer } from "./session-scorer.js";

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
}

export interface PlanOptions extends ScoreSessionOptions {
  /** As for `calibrate`. */
  readonly objective?: ScoreObjective | undefined;
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
  await using session = adapter.openSession(samples.samples, { ...options, ...packingOf(samples, options) });
  return await planSession(session, adapter, samples, options);
}

/** The part of {@link plan} for a session that goes on to score. */
export async function planSession(
  session: ScoreSession,
  adapter: Adapter,
  samples: SampleSet,
  {
    objective,
    families = ["boundary"],
    strategy,
    holdout,
    margin = DEFAULT_MARGIN,
    confidence = DEFAULT_CONFIDENCE,
    measure = true,
    signal,
  }: PlanOptions,
): Promise<CalibrationPlan> {
  const { layers } = adapter.model;
  const controls = scaleCandidates(layers);
  const controlsAsked = families.includes("scale");
  const candidates = candidatesBeforehand(layers, adapter.file.layers, families);
  const races = (strategy ?? (layers >= RACE_FROM_LAYERS ? "race" : "exhaustive")) === "race";
  const folds = foldsOfBatches(session.batches, packingOf(samples, { families, holdout, seed: session.seed }).blocks);
  const subset =
    folds === undefined ? 0 : await subsetPasses(sessionScorer(adapter, samples, session, objective), folds);
  const cost = session.cost(candidates, { objective });
  const memory = await session.estimateMemory(candidates, signal, objective);
  requireMemory(memory, session.batchTokens);
  const passes = cost.passes + cost.checkPasses + subset;
  const left = session.passesLeft(candidates, { objective }) / cost.passes;
  // Which subsets will be asked for is not known before, so all of them count as left.
  const passesLeft = left * (cost.passes + cost.checkPasses) + subset;
  return {
    samples: samples.samples.length,
    independentSamples: samples.groups,
    scoredTokens: samples.scoredTokens,
    promptTokens: samples.promptTokens,
    candidates: candidates.length,
    passes,
    mayEndEarly: races,
    subsetPasses: subset,
    naivePasses: cost.naivePasses,
    controlPasses: controlsAsked ? 0 : session.cost(controls, { objective }).passes,
    seconds: !measure ? null : passesLeft === 0 ? 0 : passesLeft * (await session.probe(signal)),
    memory,
    rpcStateBytes: cost.rpcStateBytes,
    smallestShare: smallestDifference({ units: samples.groups, confidence }),
    margin,
  };
}
