import type { Sample, SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { MemoryEstimate } from "../engine/memory-estimate.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreProgress, ScoreSessionOptions } from "../engine/session-types.js";
import { InputError, UsageError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";
import type { CalibrationResult, GuardSection } from "../result.js";
import { FEWEST_UNITS } from "../search/bootstrap.js";
import type { ConcludeOptions, Conclusion } from "../search/conclude.js";
import { concludeGuarded, DEFAULT_GUARD_MARGIN, explainGuard, judgeGuard } from "../search/guard.js";
import { provenInOrder } from "../search/choose.js";
import type { SearchOutcome } from "../search/search.js";
import type { Journal } from "./journal.js";
import { sampleInputs } from "./run-record.js";
import { scoredTokensOf } from "./session-scorer.js";

/** What `plan` and `calibrate` know of a guard. */
export interface GuardChoices {
  /**
   * A second set of samples, such as general text: what is selected must not be worse on it than the full adapter. Judged by NLL,
   * whatever the objective, so its rows need right answers.
   */
  readonly guard?: SampleSet | undefined;
  /** Share of the full adapter's NLL on the guard set that a candidate may add to it, in (0, 1); default 0.01. */
  readonly guardMargin?: number | undefined;
}

/** Before the guard set is scored: how many candidates could be selected, and passes over the guard set that they take. */
export interface GuardNotice {
  readonly candidates: number;
  readonly samples: number;
  readonly passes: number;
}

export interface ExamineOptions {
  readonly judging: ConcludeOptions;
  readonly signal?: AbortSignal | undefined;
  readonly onGuard?: ((notice: GuardNotice) => void) | undefined;
  readonly onProgress?: ((progress: ScoreProgress) => void) | undefined;
}

/** A search whose choice a guard has looked at, or would have. */
export interface GuardedOutcome extends Omit<SearchOutcome, "stoppedIn"> {
  readonly stoppedIn: NonNullable<CalibrationResult["partial"]>["stage"] | null;
  readonly guard?: GuardSection;
}

export interface GuardPlan {
  readonly samples: number;
  readonly independentSamples: number;
  /** Over the guard samples, if all candidates could be selected: the most; usually a few of them can. */
  readonly passes: number;
  /** Wall time of that; null where nothing was measured. */
  readonly seconds: number | null;
}

/**
 * The guard set of a calibration. It is scored after the search and only for what the samples would let be selected, so it costs a few
 * replays; it has no say in the search, whose scores and verdicts are the same with and without it.
 */
export class Guard implements AsyncDisposable {
  /** For the user, before anything is scored. */
  readonly notices: readonly string[];
  readonly #set: SampleSet;
  readonly #session: ScoreSession;
  readonly #margin: number;

  /**
   * @returns null where none is asked for
   * @throws UsageError GUARD_SAME; InputError GUARD_TOO_FEW with fewer than 2 independent samples
   */
  static open(
    adapter: Adapter,
    samples: SampleSet,
    { guard, guardMargin = DEFAULT_GUARD_MARGIN, ...options }: GuardChoices & ScoreSessionOptions,
  ): Guard | null {
    if (guard === undefined) return null;
    const shared = requireOther(samples, guard);
    if (guard.groups < 2) {
      throw new InputError(
        "GUARD_TOO_FEW",
        `Expected at least 2 independent samples in the guard set but received ${guard.groups}: one has no spread to measure. Add samples; claims need ${FEWEST_UNITS}.`,
        { details: { option: "guard", independent: guard.groups } },
      );
    }
    const session = adapter.openSession(guard.samples, { ...options, blocks: undefined });
    return new Guard(guard, session, guardMargin, noticesOf(guard, shared));
  }

  private constructor(set: SampleSet, session: ScoreSession, margin: number, notices: readonly string[]) {
    this.#set = set;
    this.#session = session;
    this.#margin = margin;
    this.notices = notices;
  }

  /** Its scores go into the journal of the run, under a set of their own; a guard may be added when a run resumes. */
  async useJournal(journal: Journal): Promise<void> {
    const inputs = sampleInputs(this.#set, this.#session);
    const named = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`guard set: ${name}`, value]));
    this.#session.useStore(await journal.storeOf("guard", named, this.#session.batches));
  }

  /** @param secondsPerToken of the samples' own passes; null: not measured */
  plan(candidates: readonly Candidate[], secondsPerToken: number | null): GuardPlan {
    const { passes, checkPasses } = this.#session.cost(candidates);
    const all = passes + checkPasses;
    return {
      samples: this.#set.samples.length,
      independentSamples: this.#set.groups,
      passes: all,
      seconds: secondsPerToken === null ? null : all * this.#session.tokens * secondsPerToken,
    };
  }

  estimateMemory(candidates: readonly Candidate[], signal?: AbortSignal): Promise<MemoryEstimate> {
    return this.#session.estimateMemory(candidates, signal);
  }

  /**
   * Scores what could be selected, with base model and full adapter, and concludes among those that are not worse.
   *
   * @throws CancelledError, BackendError, MemoryError
   */
  async examine(
    outcome: SearchOutcome,
    { judging, signal, onGuard, onProgress }: ExamineOptions,
  ): Promise<GuardedOutcome> {
    const examined = provenInOrder(outcome.judgement, outcome.goal);
    if (examined.length === 0) return { ...outcome, guard: this.#section({ state: "nothing" }) };
    const references = outcome.judgement.candidates.filter(({ role }) => role === "base" || role === "full");
    const candidates = [...references, ...examined].map(({ candidate }) => candidate);
    const { samples } = this.#set;
    const { passes, checkPasses } = this.#session.cost(candidates);
    onGuard?.({ candidates: examined.length, samples: samples.length, passes: passes + checkPasses });
    const table = {
      candidates,
      perSample: await this.#session.score(candidates, { signal, onProgress }),
      tokens: scoredTokensOf(samples),
      groups: samples.map(({ group }) => group),
    };
    const judged = judgeGuard(table, this.#margin, judging);
    const passed = new Set(judged.candidates.filter(({ verdict }) => verdict === "not-worse").map(({ id }) => id));
    const names = examined.map(({ id }) => id);
    return {
      ...outcome,
      ...concludeGuarded(outcome, passed, explainGuard(judged, names), judging),
      guard: this.#section({ state: "examined", criticalValue: judged.criticalValue, candidates: judged.candidates }),
    };
  }

  /** The outcome of a search that ended before its guard: nothing may be selected. */
  notReached(outcome: SearchOutcome, judging: ConcludeOptions): GuardedOutcome {
    const sentence = "The guard set was not scored before the run ended, so nothing is selected.";
    const why = { kind: "unproven", sentence, samplesNeeded: null, leastLoss: null } as const;
    const guarded: Conclusion = concludeGuarded(outcome, new Set(), why, judging);
    const stoppedIn = outcome.stoppedIn ?? "guard";
    return { ...outcome, ...guarded, stoppedIn, guard: this.#section({ state: "not-reached" }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.dispose();
  }

  #section({
    state,
    criticalValue = null,
    candidates = [],
  }: Pick<GuardSection, "state"> & Partial<GuardSection>): GuardSection {
    const { path, sha256, samples, groups, scoredTokens, promptTokens } = this.#set;
    const facts = this.#session.facts;
    return {
      ...{ path, sha256, samples: samples.length, groups, scoredTokens, promptTokens },
      notices: [...this.#set.notices, ...this.notices, ...facts.notices],
      lines: samples.map(({ line }) => line),
      margin: this.#margin,
      ...{ state, criticalValue, candidates },
      passes: facts.passes,
    };
  }
}

/**
 * The samples cannot guard themselves.
 *
 * @returns how many guard samples are among them
 */
function requireOther(samples: SampleSet, guard: SampleSet): number {
  const known = new Set(samples.samples.map(textOf));
  const shared = guard.samples.filter((sample) => known.has(textOf(sample))).length;
  if (guard.sha256 !== samples.sha256 && shared < guard.samples.length) return shared;
  throw new UsageError(
    "GUARD_SAME",
    `Expected other samples for \`guard\` than those that are searched on but received ${guard.path ?? "the same rows"}, all of whose ${guard.samples.length} samples are among them: a guard is of another kind, such as general text.`,
    { details: { option: "guard", shared } },
  );
}

function noticesOf({ groups, samples }: SampleSet, shared: number): readonly string[] {
  const again =
    shared === 0
      ? []
      : [`${shared} of ${samples.length} guard samples are among the samples: on them the guard says nothing new.`];
  const few = `The guard set has ${groups} independent samples, and fewer than ${FEWEST_UNITS} prove nothing: nothing will be selected. Add guard samples.`;
  return groups < FEWEST_UNITS ? [...again, few] : again;
}

function textOf({ tokens, scored }: Sample): string {
  return `${tokens.join()} ${scored.join()}`;
}
