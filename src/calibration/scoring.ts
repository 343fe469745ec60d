import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { AnswerOptions } from "../evaluation/answer-writer.js";
import type { WrittenAnswers } from "../evaluation/answering.js";
import type { Candidate } from "../lora/candidate.js";
import type { CalibrationResult } from "../result.js";
import type { Judgement } from "../search/judge.js";
import type { ScoreOptions, SearchScorer } from "../search/scorer.js";
import { AnswerScoring } from "./answer-scoring.js";
import { choiceScorer } from "./choice-scorer.js";
import type { Journal } from "./journal.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";
import type { Packing } from "./packing.js";
import { sessionScorer } from "./session-scorer.js";

/** What only objectives that judge answers use. */
export interface AnswerChoices {
  /** How answers are written; default: 256 tokens at most, greedily. */
  readonly answers?: AnswerOptions | undefined;
  /** Put every answer into the result, which makes it large. Default false. */
  readonly keepAnswers?: boolean | undefined;
  /** Called with answers as soon as a candidate has written those to a few samples, or a journal has given them back. */
  readonly onAnswers?: ((written: WrittenAnswers) => void) | undefined;
}

export interface FirstLookOptions {
  readonly onProgress?: ScoreOptions["onProgress"];
  /** Whether the time is over: what has not been looked at by then is looked at where it is needed. */
  readonly isSpent?: () => boolean;
}

/** How one objective gets its scores, and what it knows beside them. */
export interface Scoring extends AsyncDisposable {
  readonly scorer: SearchScorer;
  /**
   * Has what it does beside the session's work kept in a journal, and takes up what that holds; for before anything is scored.
   *
   * @returns what the user should know of it
   * @throws InputError JOURNAL_OTHER_RUN
   */
  keepIn(journal: Journal): Promise<readonly string[]>;
  /** Of `scorer.cost(candidates)`: what no journal holds. */
  passesLeft(candidates: readonly Candidate[]): number;
  /** Passes of a first look at candidates before the search; 0: there is none. */
  firstLookPasses(candidates: readonly Candidate[]): number;
  firstLook(candidates: readonly Candidate[], options: FirstLookOptions): Promise<void>;
  /** Seconds of a pass as `scorer.cost` counts them, measured. */
  secondsPerPass(signal?: AbortSignal): Promise<number>;
  /** What was scored so far. */
  readonly spent: { readonly passes: number; readonly seconds: number };
  /** Adds what it knows to a result that was judged on `samples`, by index. */
  tell(result: CalibrationResult, judgement: Judgement, samples: readonly number[]): Promise<CalibrationResult>;
}

export interface ScoringOptions extends AnswerChoices {
  readonly objective?: ObjectiveChoice | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws InputError for samples that the objective cannot judge, and a metric that fails on them */
export function openScoring(
  adapter: Adapter,
  set: SampleSet,
  session: ScoreSession,
  packing: Packing,
  options: ScoringOptions,
): Scoring {
  const judged = judgedBy(options.objective);
  if (judged.by === "answers") return new AnswerScoring(adapter, set, session, packing, judged.metric, options);
  const scorer =
    judged.by === "choices"
      ? choiceScorer(adapter, set, session, packing)
      : sessionScorer(adapter, set, session, judged.score);
  const objective = judged.by === "tokens" ? judged.score : "nll";
  return {
    scorer,
    keepIn: () => Promise.resolve([]),
    passesLeft: (candidates) =>
      (scorer.cost(candidates) * session.passesLeft(candidates, { objective })) /
      session.cost(candidates, { objective }).passes,
    firstLookPasses: () => 0,
    firstLook: () => Promise.resolve(),
    secondsPerPass: (signal) => session.probe(signal),
    get spent() {
      return session.facts;
    },
    tell: (result) => Promise.resolve(result),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
