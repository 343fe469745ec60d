import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { engineFacts } from "../engine/backend.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { BackendError, CancelledError } from "../errors.js";
import type { Family } from "../lora/candidate.js";
import { packageVersion } from "../package-version.js";
import type { CalibrationResult } from "../result.js";
import type { Goal } from "../search/choose.js";
import type { Strategy } from "../search/race.js";
import { candidatesBeforehand, search, type SearchOutcome, type SearchProgress } from "../search/search.js";
import { subsetSection } from "../search/subset-section.js";
import { suggestSubset } from "../search/suggest-subset.js";
import { checkCalibrationOptions } from "./check-options.js";
import { identify, type FileIdentity } from "./file-identity.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";
import { foldsOfBatches, packingOf } from "./packing.js";
import { planSession, type CalibrationPlan, type Prepared } from "./plan.js";
import { openScoring, type AnswerChoices } from "./scoring.js";
import { scoredTokensOf } from "./session-scorer.js";

export interface CalibrationProgress {
  /** `nll`: with a metric of answers, the first look at all candidates. */
  readonly stage: "hash" | "plan" | "nll" | SearchProgress["stage"];
  /** In any unit; `done` of `total`. */
  readonly done: number;
  readonly total: number;
  /** Null before anything is known. */
  readonly secondsLeft: number | null;
}

export interface CalibrateOptions extends ScoreSessionOptions, AnswerChoices {
  /**
   * `nll` (default): how well the candidate predicts the samples. `kl`: how much like the full adapter it predicts, which
   * needs no right answers and says nothing about quality: nothing can be `better`. `choice`: whether the right one of a
   * row's choices is the likeliest. A metric, built in or one's own: how good the answers are that the candidate writes.
   */
  readonly objective?: ObjectiveChoice;
  /** The adapter was trained on these samples: said in the result, and nothing is called `better`. Default false. */
  readonly inSample?: boolean;
  /** `economy` (default): the fewest adapted layers that lose nothing; `quality`: the best proven better. */
  readonly goal?: Goal;
  /** Share of the adapter's gain that may be lost, in (0, 1); default 0.02. */
  readonly margin?: number;
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number;
  /** Of the bootstrap and the folds; default 0. */
  readonly seed?: number;
  /** Default `["boundary"]`; with `scale` the controls are scored at once and not only when needed. */
  readonly families?: readonly Family[];
  /** Default: `race` from 16 layers, else `exhaustive`. */
  readonly strategy?: Strategy;
  /** Seconds of scoring; what is known then is the result, marked as partial. At least one batch is scored. */
  readonly budget?: number;
  /** Of a subset search: share of the samples that only judge, in (0, 1). Default: two halves take turns. */
  readonly holdout?: number;
  /** Units out at which a subset search is judged; default: after each of its rounds. */
  readonly subsetSizes?: readonly number[];
  /** Samples weigh by their scored tokens; default false: all the same. */
  readonly tokenWeighted?: boolean;
  /** Go on after a failed gate, marked in the result. Default false. */
  readonly force?: boolean;
  /** `full`: hash the whole base model. Default `auto`: it is known by its fingerprint, whatever its size. */
  readonly hash?: "auto" | "full";
  /** Goes into the result as it is. */
  readonly command?: readonly string[];
  readonly signal?: AbortSignal;
  /** Before anything is scored. */
  readonly onPlan?: (plan: CalibrationPlan) => void;
  readonly onProgress?: (progress: CalibrationProgress) => void;
}

/**
 * Scores every boundary of an adapter on the samples and says what they prove: the curve with simultaneous bounds, verdicts,
 * the choice and the honest size of its gain. A failed gate and an unproven cut are results, not errors.
 *
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples; UsageError for an option out of range
 * @throws MemoryError before anything is allocated
 * @throws CancelledError, BackendError; of both `details.partial` is the result on the samples that were complete, or null
 *   where that is too few
 */
export async function calibrate(
  adapter: Adapter,
  samples: SampleSet,
  options: CalibrateOptions = {},
): Promise<CalibrationResult> {
  const start = performance.now();
  checkCalibrationOptions(options);
  const judging = judgeOptions(adapter, options);
  const { signal, onProgress } = options;
  const packing = packingOf(samples, options);
  await using session = adapter.openSession(packing.scored, { ...options, ...packing });
  await using scoring = openScoring(adapter, samples, session, packing, options);
  const prepared = { session, packing, scoring };
  const progress = new ProgressClock(onProgress);

  const model = await identify(adapter.model.file.shards, {
    hash: options.hash,
    signal,
    onProgress: (share) => {
      progress.report("hash", share, 1);
    },
  });
  const source = await identify([adapter.file.gguf], { hash: "full", signal });
  progress.report("plan", 0, 1);
  const plan = await planSession(prepared, adapter, samples, options);
  options.onPlan?.(plan);

  const { scorer } = scoring;
  const facts: FixedFacts = { ...prepared, adapter, samples, model, source, options, start };
  const { families, strategy, budget, subsetSizes } = options;
  const folds = foldsOfBatches(scorer.batches, packing.folds);
  const until = budget === undefined ? Infinity : performance.now() + 1000 * budget;
  const isSpent = () => performance.now() >= until;
  await scoring.firstLook(candidatesBeforehand(scorer.layers, scorer.coveredLayers, families ?? ["boundary"]), {
    onProgress: ({ done, total }) => {
      progress.report("nll", done, total);
    },
    isSpent,
  });
  try {
    const outcome = await search(scorer, {
      ...judging,
      ...(families && { families }),
      ...(strategy && { strategy }),
      ...(folds && { folds }),
      ...(subsetSizes && { subsetSizes }),
      ...(signal && { signal }),
      isSpent,
      onProgress: ({ stage, done, total }) => {
        progress.report(stage, done, total);
      },
    });
    return await resultOf(outcome, "budget", facts);
  } catch (error) {
    if (!(error instanceof CancelledError || error instanceof BackendError)) throw error;
    const known = (error.details["partial"] ?? null) as SearchOutcome | null;
    const cause = error instanceof CancelledError ? "cancelled" : "failed";
    const partial = known && (await resultOf(known, cause, facts));
    const told = { cause: error, details: { ...error.details, partial } };
    if (error instanceof CancelledError) throw new CancelledError(error.message, told);
    throw new BackendError(error.code, error.message, told);
  }
}

function judgeOptions(adapter: Adapter, options: CalibrateOptions) {
  const { objective, inSample, goal, margin, confidence, seed, tokenWeighted, force } = options;
  return {
    coveredLayers: adapter.file.layers,
    objective: judgedBy(objective).objective,
    ...(inSample !== undefined && { inSample }),
    ...(goal !== undefined && { goal }),
    ...(margin !== undefined && { margin }),
    ...(confidence !== undefined && { confidence }),
    ...(seed !== undefined && { seed }),
    ...(tokenWeighted !== undefined && { tokenWeighted }),
    ...(force !== undefined && { force }),
  };
}

/** Time left by the speed of the stage so far. */
class ProgressClock {
  readonly #onProgress: CalibrateOptions["onProgress"];
  #stage: CalibrationProgress["stage"] | null = null;
  #start = 0;

  constructor(onProgress: CalibrateOptions["onProgress"]) {
    this.#onProgress = onProgress;
  }

  report(stage: CalibrationProgress["stage"], done: number, total: number): void {
    if (stage !== this.#stage) {
      this.#stage = stage;
      this.#start = performance.now();
    }
    const elapsed = (performance.now() - this.#start) / 1000;
    const secondsLeft = done > 0 ? (elapsed * (total - done)) / done : null;
    this.#onProgress?.({ stage, done, total, secondsLeft });
  }
}

interface FixedFacts extends Prepared {
  readonly adapter: Adapter;
  readonly samples: SampleSet;
  readonly model: FileIdentity;
  readonly source: FileIdentity;
  readonly options: CalibrateOptions;
  readonly start: number;
}

async function resultOf(
  outcome: SearchOutcome,
  cause: NonNullable<CalibrationResult["partial"]>["cause"],
  { adapter, samples, session, scoring, model, source, options, start }: FixedFacts,
): Promise<CalibrationResult> {
  const { judgement, samples: judged, stoppedIn, ...answer } = outcome;
  const scored = judged.flatMap((sample) => samples.samples[sample] ?? []);
  const { file } = adapter.model;
  const scoredTokens = scoredTokensOf(scored).reduce((sum, count) => sum + count, 0);
  const { passes, naivePasses, replay, loss, noiseFloor, notices } = session.facts;
  const { flashAttention, keyType, valueType } = session.context;
  const { backend, notice } = adapter.model.placement;
  const { llamaCpp } = await engineFacts();
  const { objective, inSample } = judgement.options;
  const result: CalibrationResult = {
    schema: "lora-boundary/calibration@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command: options.command ?? [],
    model: {
      path: file.path,
      ...model,
      architecture: file.architecture,
      layers: file.layers,
      quantization: file.quantization,
    },
    adapter: {
      path: adapter.path,
      ...source,
      layers: adapter.file.layers,
      rank: adapter.file.rank,
      alpha: adapter.file.alpha,
      parameters: adapter.file.parameters,
      bytes: adapter.file.bytes,
    },
    data: {
      path: samples.path,
      sha256: samples.sha256,
      samples: scored.length,
      scoredTokens,
      promptTokens: scored.reduce((sum, { tokens }) => sum + tokens.length, 0) - scoredTokens,
      groups: judgement.units.count,
      seed: samples.seed,
      template: samples.template,
      notices: [...samples.notices, ...(notice === null ? [] : [notice]), ...notices],
      lines: scored.map(({ line }) => line),
    },
    partial: stoppedIn === null ? null : { ofSamples: samples.samples.length, cause, stage: stoppedIn },
    objective: objective.name,
    objectiveScale: { higherIsBetter: objective.higherIsBetter, unit: objective.unit },
    inSample,
    strategy: answer.strategy,
    goal: answer.goal,
    margin: answer.margin,
    confidence: answer.confidence,
    criticalValue: answer.criticalValue,
    gate: answer.gate,
    candidates: answer.candidates,
    selected: answer.selected,
    noSelection: answer.noSelection,
    pareto: answer.pareto,
    controls: { ...answer.controls, noiseFloor },
    subset: subsetSection(outcome),
    suggestion: await suggestSubset(
      outcome,
      scoring.scorer,
      scoring.spent.seconds / Math.max(scoring.spent.passes, 1e-9),
    ),
    output: null,
    engine: {
      llamaCpp,
      backend,
      threads: session.threads,
      replay: replay ?? "exact",
      batchTokens: session.batchTokens,
      loss: loss ?? "host",
      flashAttention,
      cacheTypeK: keyType,
      cacheTypeV: valueType,
    },
    cost: {
      passes,
      naivePasses: Math.max(naivePasses, answer.candidates.length),
      seconds: (performance.now() - start) / 1000,
      tokensComputed: Math.round(passes * session.tokens),
      tokensShared: Math.round((passes / session.computedShare - passes) * session.tokens),
    },
  };
  return await scoring.tell(result, judgement, judged);
}
