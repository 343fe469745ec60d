import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { requireMemory, type MemoryEstimate } from "../engine/memory-estimate.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective, ScoreSessionOptions } from "../engine/session-types.js";
import type { Family } from "../lora/candidate.js";
import { boundaryCandidates, scaleCandidates } from "../search/families.js";
import { DEFAULT_CONFIDENCE, DEFAULT_MARGIN } from "../search/judge-options.js";
import { smallestDifference } from "../search/power.js";
import { checkCalibrationOptions } from "./check-options.js";

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
  readonly naivePasses: number;
  /** Passes that are added where a cut would be called better; 0 where the controls are in `passes`. */
  readonly controlPasses: number;
  /** Wall time of what of `passes` no journal knows, measured on the smallest batch; null with `measure: false`. */
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
  await using session = adapter.openSession(samples.samples, options);
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
    margin = DEFAULT_MARGIN,
    confidence = DEFAULT_CONFIDENCE,
    measure = true,
    signal,
  }: PlanOptions,
): Promise<CalibrationPlan> {
  const { layers } = adapter.model;
  const controls = scaleCandidates(layers);
  const controlsAsked = families.includes("scale");
  const candidates = [...boundaryCandidates(layers, adapter.file.layers), ...(controlsAsked ? controls : [])];
  const cost = session.cost(candidates, objective);
  const memory = await session.estimateMemory(candidates, signal, objective);
  requireMemory(memory, session.batchTokens);
  const passes = cost.passes + cost.checkPasses;
  const left = session.passesLeft(candidates, objective);
  const seconds = async () => (left === 0 ? 0 : (left / cost.passes) * passes * (await session.probe(signal)));
  return {
    samples: samples.samples.length,
    independentSamples: samples.groups,
    scoredTokens: samples.scoredTokens,
    promptTokens: samples.promptTokens,
    candidates: candidates.length,
    passes,
    naivePasses: cost.naivePasses,
    controlPasses: controlsAsked ? 0 : session.cost(controls, objective).passes,
    seconds: measure ? await seconds() : null,
    memory,
    rpcStateBytes: cost.rpcStateBytes,
    smallestShare: smallestDifference({ units: samples.groups, confidence }),
    margin,
  };
}
