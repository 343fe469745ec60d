import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreProgress, ScoreSessionOptions } from "../engine/session-types.js";
import { BackendError, CancelledError } from "../errors.js";
import type { Family } from "../lora/candidate.js";
import type { CalibrationResult } from "../result.js";
import type { Goal } from "../search/choose.js";
import type { Strategy } from "../search/race.js";
import { candidatesBeforehand, search, type SearchOutcome, type SearchProgress } from "../search/search.js";
import { suggestedPasses, suggestSubset } from "../search/suggest-subset.js";
import { checkCalibrationOptions } from "./check-options.js";
import { identify } from "./file-identity.js";
import { Guard, type GuardChoices, type GuardedOutcome, type GuardNotice } from "./guard.js";
import type { JournalOptions } from "./journal.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";
import { openJournal } from "./open-journal.js";
import { foldsOfBatches, packingOf } from "./packing.js";
import { planSession, type CalibrationPlan } from "./plan.js";
import { resultOf } from "./result-of.js";
import { machineInputs, recordRun, sampleInputs } from "./run-record.js";
import { openScoring, type AnswerChoices } from "./scoring.js";

export interface CalibrationProgress {
  /** `nll`: with a metric of answers, the first look at all candidates. */
  readonly stage: "hash" | "plan" | "nll" | SearchProgress["stage"] | "guard";
  /** In any unit; `done` of `total`. */
  readonly done: number;
  readonly total: number;
  /** Null before anything is known. */
  readonly secondsLeft: number | null;
}

export interface CalibrateOptions extends ScoreSessionOptions, AnswerChoices, GuardChoices {
  /**
   * `nll` (default): how well the candidate predicts the samples. `kl`: how much like the full adapter it predicts, which
   * needs no right answers and says nothing about quality: nothing can be `better`. `choice`: whether the right one of a
   * row's choices is the likeliest. A metric, built in or one's own: how good the answers are that the candidate writes.
   */
  readonly objective?: ObjectiveChoice;
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
  /** Default: `race` from 16 layers, else `exhaustive`. */
  readonly strategy?: Strategy | undefined;
  /** Seconds of scoring; what is known then is the result, marked as partial. At least two independent samples are scored. */
  readonly budget?: number | undefined;
  /** Of a subset search: share of the samples that only judge, in (0, 1). Default: two halves take turns. */
  readonly holdout?: number | undefined;
  /** Units out at which a subset search is judged; default: after each of its rounds. */
  readonly subsetSizes?: readonly number[] | undefined;
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
  /** Before the guard set is scored, where something could be selected. */
  readonly onGuard?: (notice: GuardNotice) => void;
  /** Before anything is scored. */
  readonly onPlan?: (plan: CalibrationPlan) => void;
  readonly onProgress?: (progress: CalibrationProgress) => void;
}

/**
 * Scores every boundary of an adapter on the samples and says what they prove: the curve with simultaneous bounds, verdicts,
 * the choice and the honest size of its gain. A failed gate and an unproven cut are results, not errors.
 *
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples; UsageError for an option out of range
 * @throws as `Journal.open` and `Guard.open`
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
  await using guard = Guard.open(adapter, samples, options);
  for (const notice of guard?.notices ?? []) options.onNotice?.(notice);
  const prepared = { session, packing, scoring, guard };
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
  const { by, objective } = judgedBy(options.objective);
  // Metrics judge what is written, and do not decide it.
  const question = { ...options, objective: by === "answers" ? "what is written" : objective.name };
  await using journal = await openJournal(session, options, async () => ({
    machine: await machineInputs(adapter, session, record),
    samples: sampleInputs({ ...samples, samples: packing.scored }, session, question),
  }));
  if (journal !== null) await guard?.useJournal(journal);
  const notices = journal === null ? [] : await scoring.keepIn(journal);
  for (const notice of notices) options.onNotice?.(notice);
  progress.report("plan", 0, 1);
  const plan = await planSession(prepared, adapter, samples, options);
  options.onPlan?.(plan);

  const { scorer } = scoring;
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
  const tell = async (outcome: GuardedOutcome, cause: PartialCause) => {
    const result = resultOf(outcome, {
      ...{ record, cause, session: session.facts, command: options.command ?? [] },
      suggestion: await suggestSubset(outcome, scorer, {
        passes: () => suggestedPasses(scorer),
        secondsPerPass: async () => {
          if (by === "tokens") return session.secondsPerPass ?? (await session.probe(signal));
          const { passes, seconds } = scoring.spent;
          return passes > 0 ? seconds / passes : await scoring.secondsPerPass(signal);
        },
      }),
      seconds: (performance.now() - start) / 1000,
    });
    return await scoring.tell(result, outcome.judgement, outcome.samples);
  };
  let searched: SearchOutcome | null = null;
  try {
    searched = await search(scorer, {
      ...judging,
      ...(families && { families }),
      ...(strategy && { strategy }),
      ...(folds && { folds }),
      ...(subsetSizes && { subsetSizes }),
      ...(signal && { signal }),
      isSpent,
      onProgress: ({ stage, done, total }) => {
        progress.report(stage, done, total, session.secondsPerPass);
      },
    });
    const examining = {
      ...{ judging, signal, onGuard: options.onGuard },
      onProgress: ({ done, total }: ScoreProgress) => {
        progress.report("guard", done, total);
      },
    };
    const outcome = guard === null ? searched : await guard.examine(searched, examining);
    const result = await tell(outcome, "budget");
    // A run that its budget has stopped can go on.
    if (outcome.stoppedIn === null) await journal?.finish();
    return result;
  } catch (error) {
    if (!(error instanceof CancelledError || error instanceof BackendError)) throw error;
    const known = (error.details["partial"] ?? searched) as SearchOutcome | null;
    const cause = error instanceof CancelledError ? "cancelled" : "failed";
    const partial = known && (await tell(guard === null ? known : guard.notReached(known, judging), cause));
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

type PartialCause = NonNullable<CalibrationResult["partial"]>["cause"];

/** Time left: of scoring by the speed of what was computed, since a journal may know a part; else of the stage so far. */
class ProgressClock {
  readonly #onProgress: CalibrateOptions["onProgress"];
  #stage: CalibrationProgress["stage"] | null = null;
  #start = 0;

  constructor(onProgress: CalibrateOptions["onProgress"]) {
    this.#onProgress = onProgress;
  }

  /** @param secondsPerUnit measured; null: not yet; absent: the stage is its own measure */
  report(stage: CalibrationProgress["stage"], done: number, total: number, secondsPerUnit?: number | null): void {
    if (stage !== this.#stage) {
      this.#stage = stage;
      this.#start = performance.now();
    }
    const elapsed = (performance.now() - this.#start) / 1000;
    const speed = secondsPerUnit === undefined && done > 0 ? elapsed / done : secondsPerUnit;
    const secondsLeft = speed == null ? null : speed * (total - done);
    this.#onProgress?.({ stage, done, total, secondsLeft });
  }
}
