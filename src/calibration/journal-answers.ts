import type { AnswerStore, KeptAnswers } from "../evaluation/answer-store.js";
import type { Finish, GenerationFacts } from "../generation/types.js";
import { isCount, isNumbers, isObject } from "./json-checks.js";

/** What a candidate has written to the samples of a batch. `strengths`: see `strengthsKey`. */
export interface AnswersLine {
  readonly set: string;
  readonly batch: number;
  readonly strengths: string;
  readonly answers: readonly {
    readonly text: string;
    readonly tokens: readonly number[];
    readonly margins: readonly number[];
    readonly finish: Finish;
  }[];
  readonly facts: GenerationFacts;
}

/** What a metric says of those, one score per sample on its own scale. `metric`: see `metricIdentity`. */
export interface MetricLine {
  readonly set: string;
  readonly batch: number;
  readonly strengths: string;
  readonly metric: string;
  readonly scores: readonly number[];
}

/** Where a run that is judged by answers keeps them. Scores are made anew from answers: they only show whether a metric is one. */
export interface AnswerJournal extends AnswerStore {
  /** The metric that has scored last, before this run; null: none has. */
  readonly scoredBy: string | null;
  /** By the metric of this run. */
  scores(batch: number, strengths: Float32Array): readonly number[] | undefined;
  storeScores(batch: number, strengths: Float32Array, scores: readonly number[]): Promise<void>;
}

/** Answers of one set of samples. */
export class JournalAnswers {
  scoredBy: string | null = null;
  /** Answers, of all candidates. */
  count = 0;
  readonly #written = new Map<string, KeptAnswers>();
  readonly #scores = new Map<string, MetricLine>();

  written(batch: number, strengths: string): KeptAnswers | undefined {
    return this.#written.get(`${batch} ${strengths}`);
  }

  scores(batch: number, strengths: string, metric: string): readonly number[] | undefined {
    const line = this.#scores.get(`${batch} ${strengths}`);
    return line?.metric === metric ? line.scores : undefined;
  }

  add({ batch, strengths, answers, facts }: AnswersLine): void {
    this.count += answers.length - (this.written(batch, strengths)?.answers.length ?? 0);
    const kept = answers.map(({ tokens, margins, ...answer }) => ({
      ...answer,
      tokens: Int32Array.from(tokens),
      margins: Float32Array.from(margins),
    }));
    this.#written.set(`${batch} ${strengths}`, { answers: kept, facts });
  }

  addScores(line: MetricLine): void {
    this.scoredBy = line.metric;
    this.#scores.set(`${line.batch} ${line.strengths}`, line);
  }
}

export function isAnswers(answers: unknown, facts: unknown): boolean {
  return Array.isArray(answers) && answers.length > 0 && answers.every(isAnswer) && isFacts(facts);
}

function isAnswer(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { text, tokens, margins, finish } = value;
  return (
    typeof text === "string" &&
    ["end", "stop", "length"].includes(finish as string) &&
    Array.isArray(tokens) &&
    tokens.every(isCount) &&
    Array.isArray(margins) &&
    margins.length === tokens.length &&
    margins.every(Number.isFinite)
  );
}

function isFacts(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { steps, tokensComputed, tokensWritten, draftsProposed, draftsAccepted, seconds, notices } = value;
  return (
    isNumbers([steps, tokensComputed, tokensWritten, draftsProposed, draftsAccepted, seconds]) &&
    Array.isArray(notices) &&
    notices.every((notice) => typeof notice === "string")
  );
}
