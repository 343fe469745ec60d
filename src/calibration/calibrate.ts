import { scoredCount, type Sample, type SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective, ScoreSessionOptions } from "../engine/session-types.js";
import { BackendError, CancelledError } from "../errors.js";
import type { Candidate, Family } from "../lora/candidate.js";
import type { CalibrationResult } from "../result.js";
import type { Goal } from "../search/choose.js";
import { conclude } from "../search/conclude.js";
import { exhaustiveSearch, type SearchScorer } from "../search/exhaustive.js";
import { KL, NLL } from "../search/objective.js";
import type { ScoreTable } from "../search/scores.js";
import { checkCalibrationOptions } from "./check-options.js";
import { identify } from "./file-identity.js";
import { Journal, type JournalOptions } from "./journal.js";
import { planSession, type CalibrationPlan } from "./plan.js";
import { resultOf, type ResultFacts } from "./result-of.js";
import { machineInputs, recordRun, sampleInputs } from "./run-record.js";

export interface CalibrationProgress {
  readonly stage: "hash" | "plan" | "boundary" | "controls";
  /** In any unit; `done` of `total`. */
  readonly done: number;
  readonly total: number;
  /** Null before anything is known. */
  readonly secondsLeft: number | null;
}

export interface CalibrateOptions extends ScoreSessionOptions {
  /**
   * `nll` (default): how well the candidate predicts the samples. `kl`: how much like the full adapter it predicts, which
   * needs no right answers and says nothing about quality: nothing can be `better`.
   */
  readonly objective?: ScoreObjective;
  /** The adapter was trained on these samples: said in the result, and nothing is called `better`. Default false. */
  readonly inSample?: boolean | undefined;
  /** `economy` (default): the fewest adapted layers that lose nothing; `quality`: the best proven better. */
  readonly goal?: Goal | undefined;
  /** Share of the adapter's gain that may be lost, in (0, 1); default 0.02. */
  readonly margin?: number | undefined;
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number | undefined;
  /** Of the bootstrap and the folds; default 0. */
  readonly seed?: number | undefined;
  /** Default `["boundary"]`; with `scale` the controls are scored at once and not only when needed. */
  readonly families?: readonly Family[] | undefined;
  /** Samples weigh by their scored tokens; default false: all the same. */
  readonly tokenWeighted?: boolean | undefined;
  /** Go on after a failed gate, marked in the result. Default false. */
  readonly force?: boolean | undefined;
  /** `full`: hash the whole base model. Default `auto`: it is known by its fingerprint, whatever its size. */
  readonly hash?: "auto" | "full" | undefined;
  /** Where finished work is kept, so that a run can go on after a crash; default: nowhere. */
  readonly journal?: JournalOptions | undefined;
  /** Goes into the result as it is. */
  readonly command?: readonly string[] | undefined;
  readonly signal?: AbortSignal;
  /** What a journal had to say, before anything is scored. */
  readonly onNotice?: (notice: string) => void;
  /** Before anything is scored. */
  readonly onPlan?: (plan: CalibrationPlan) => void;
  readonly onProgress?: (progress: CalibrationProgress) => void;
}

/**
 * Scores every boundary of an adapter on the samples and says what they prove: the curve with simultaneous bounds, verdicts,
 * the choice and the honest size of its gain. A failed gate and an unproven cut are results, not errors.
 *
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples; UsageError for an option out of range
 * @throws as `Journal.open`
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
  const judging = judgeOptions(adapter, options);
  checkCalibrationOptions(options);
  const { signal, onProgress } = options;
  await using session = adapter.openSession(samples.samples, options);
  const progress = new ProgressClock(onProgress);

  const model = await identify(adapter.model.file.shards, {
    hash: options.hash,
    signal,
    onProgress: (share) => {
      progress.report("hash", share, 1);
    },
  });
  const source = await identify([adapter.file.gguf], { hash: "full", signal });
  const record = await recordRun(adapter, samples, session, { model, adapter: source });
  await using journal =
    options.journal === undefined
      ? null
      : await Journal.open(options.journal, await machineInputs(adapter, session, record));
  if (journal !== null) {
    session.useStore(
      await journal.storeOf("samples", sampleInputs(samples, session, options.objective), session.batches),
    );
    for (const notice of journal.notices) options.onNotice?.(notice);
  }
  progress.report("plan", 0, 1);
  const plan = await planSession(session, adapter, samples, options);
  options.onPlan?.(plan);

  const partial = new PartialScores(samples);
  const scorer = searchScorer(adapter, samples, session, options.objective, partial);
  const facts = (): ResultFacts => ({
    ...{ record, session: session.facts, command: options.command ?? [] },
    seconds: (performance.now() - start) / 1000,
  });
  try {
    const outcome = await exhaustiveSearch(scorer, {
      ...judging,
      ...(options.families && { families: options.families }),
      ...(signal && { signal }),
      onProgress: ({ stage, done, total }) => {
        progress.report(stage, done, total);
      },
    });
    await journal?.finish();
    return resultOf(outcome, [...samples.samples.keys()], facts());
  } catch (error) {
    if (!(error instanceof CancelledError || error instanceof BackendError)) throw error;
    const complete = partial.complete();
    const known = complete === null ? null : resultOf(conclude(complete.table, judging), complete.samples, facts());
    const told = { cause: error, details: { ...error.details, partial: known } };
    if (error instanceof CancelledError) throw new CancelledError(error.message, told);
    throw new BackendError(error.code, error.message, told);
  }
}

function judgeOptions(adapter: Adapter, options: CalibrateOptions) {
  const { objective, inSample, goal, margin, confidence, seed, tokenWeighted, force } = options;
  return {
    coveredLayers: adapter.file.layers,
    objective: objective === "kl" ? KL : NLL,
    ...(inSample !== undefined && { inSample }),
    ...(goal !== undefined && { goal }),
    ...(margin !== undefined && { margin }),
    ...(confidence !== undefined && { confidence }),
    ...(seed !== undefined && { seed }),
    ...(tokenWeighted !== undefined && { tokenWeighted }),
    ...(force !== undefined && { force }),
  };
}

/** What is known when a run ends before its time. */
interface CompleteScores {
  readonly table: ScoreTable;
  /** Indices of its samples. */
  readonly samples: readonly number[];
}

/** Collects the samples that are complete for all candidates of the first stage; later stages add candidates only. */
class PartialScores {
  readonly #samples: readonly Sample[];
  #stage = 0;
  #candidates: readonly Candidate[] = [];
  #done: number[] = [];
  #perSample: readonly Float64Array[] = [];

  constructor({ samples }: SampleSet) {
    this.#samples = samples;
  }

  beginStage(candidates: readonly Candidate[]): void {
    this.#stage += 1;
    if (this.#stage === 1) this.#candidates = candidates;
  }

  add(samples: readonly number[], perSample: readonly Float64Array[]): void {
    if (this.#stage > 1) return;
    this.#done.push(...samples);
    this.#perSample = perSample;
  }

  /** Null where too few samples are complete to say anything. */
  complete(): CompleteScores | null {
    const indices = [...this.#done].sort((a, b) => a - b);
    const samples = indices.flatMap((index) => this.#samples[index] ?? []);
    const groups = samples.map(({ group }) => group);
    if (new Set(groups).size < 2) return null;
    const perSample = this.#perSample.map((scores) => Float64Array.from(indices, (index) => scores[index] ?? NaN));
    return {
      table: { candidates: this.#candidates, perSample, tokens: scoredTokensOf(samples), groups },
      samples: indices,
    };
  }
}

function scoredTokensOf(samples: readonly Sample[]): Int32Array {
  return Int32Array.from(samples, scoredCount);
}

function searchScorer(
  adapter: Adapter,
  { samples }: SampleSet,
  session: ScoreSession,
  objective: ScoreObjective | undefined,
  partial: PartialScores,
): SearchScorer {
  return {
    layers: adapter.model.layers,
    coveredLayers: adapter.file.layers,
    groups: samples.map(({ group }) => group),
    tokens: scoredTokensOf(samples),
    score: (candidates, scoring) => {
      partial.beginStage(candidates);
      return session.score(candidates, {
        ...scoring,
        objective,
        onBatch: (batch, scores) => {
          partial.add(batch, scores);
        },
      });
    },
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
