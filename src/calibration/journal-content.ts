import { createHash } from "node:crypto";
import type { SelfCheck } from "../engine/score-store.js";
import { isAnswers, JournalAnswers, type AnswersLine, type MetricLine } from "./journal-answers.js";
import { isCount, isNumbers, isObject } from "./json-checks.js";
import type { RunInputs } from "./run-record.js";

export const JOURNAL_SCHEMA = "lora-boundary/journal@1";

/**
 * The lines of a journal. Each stands for itself, so what two processes have appended by mistake is still sound, and a
 * file is good up to its first broken line.
 */
export type JournalLine =
  | { readonly schema: typeof JOURNAL_SCHEMA; readonly inputs: RunInputs }
  /** A set of samples: `samples`, `guard`; `answers`: those of `samples`, in the batches in which they are answered. */
  | { readonly set: string; readonly inputs: RunInputs }
  | { readonly set: string; readonly check: SelfCheck }
  /** `strengths`: see `strengthsKey`; `sums`: per sample of the batch, summed negative log-likelihood, nats. */
  | { readonly set: string; readonly batch: number; readonly strengths: string; readonly sums: readonly number[] }
  | AnswersLine
  | MetricLine
  /** As the last line: the run has ended by itself. */
  | { readonly finished: true };

/** What is known of one set of samples. */
export class JournalSet {
  inputs: RunInputs | null = null;
  check: SelfCheck | null = null;
  readonly answers = new JournalAnswers();
  readonly #sums = new Map<string, Float64Array>();

  get scores(): number {
    return this.#sums.size;
  }

  sums(batch: number, strengths: string): Float64Array | undefined {
    return this.#sums.get(`${batch} ${strengths}`);
  }

  add(batch: number, strengths: string, sums: ArrayLike<number>): void {
    this.#sums.set(`${batch} ${strengths}`, Float64Array.from(sums));
  }
}

/** What the lines of a journal say together. */
export class JournalContent {
  /** Null before the first line. */
  inputs: RunInputs | null = null;
  finished = false;
  readonly #sets = new Map<string, JournalSet>();

  set(name: string): JournalSet {
    const known = this.#sets.get(name) ?? new JournalSet();
    this.#sets.set(name, known);
    return known;
  }

  /** Scores of one candidate on one batch, in all sets. */
  get scores(): number {
    return [...this.#sets.values()].reduce((sum, { scores }) => sum + scores, 0);
  }

  /** Answers of all candidates. */
  get answers(): number {
    return [...this.#sets.values()].reduce((sum, { answers }) => sum + answers.count, 0);
  }

  /** @returns false for anything that is no line of a journal; nothing is taken of it then */
  read(text: string): boolean {
    const line = parsed(text);
    if (line === null) return false;
    if ((this.inputs === null) !== "schema" in line) return false;
    this.finished = "finished" in line;
    if ("schema" in line) this.inputs = line.inputs;
    else if ("sums" in line) this.set(line.set).add(line.batch, line.strengths, line.sums);
    else if ("answers" in line) this.set(line.set).answers.add(line);
    else if ("scores" in line) this.set(line.set).answers.addScores(line);
    else if ("check" in line) this.set(line.set).check = line.check;
    else if ("inputs" in line) this.set(line.set).inputs = line.inputs;
    return true;
  }
}

/** Names a vector of strengths by its bits. */
export function strengthsKey(strengths: Float32Array): string {
  return createHash("sha256").update(strengths).digest("hex").slice(0, 24);
}

function parsed(text: string): JournalLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isObject(value) && isLine(value) ? (value as unknown as JournalLine) : null;
}

function isLine(value: Readonly<Record<string, unknown>>): boolean {
  const { schema, set, inputs, check, batch, strengths, sums, answers, facts, metric, scores, finished } = value;
  if (finished === true) return true;
  if (schema !== undefined) return schema === JOURNAL_SCHEMA && isInputs(inputs);
  if (typeof set !== "string") return false;
  if (batch !== undefined) {
    const of = isCount(batch) && typeof strengths === "string";
    if (answers !== undefined) return of && isAnswers(answers, facts);
    if (scores !== undefined) return of && typeof metric === "string" && isNumbers(scores);
    return of && isNumbers(sums);
  }
  return check === undefined ? isInputs(inputs) : isObject(check) && isCheck(check);
}

function isCheck({
  replay,
  loss,
  noiseFloor,
  notices,
  usable,
  layerTokens,
}: Readonly<Record<string, unknown>>): boolean {
  return (
    ["exact", "close", "plain"].includes(replay as string) &&
    ["graph", "host"].includes(loss as string) &&
    Number.isFinite(noiseFloor) &&
    Number.isSafeInteger(layerTokens) &&
    Array.isArray(notices) &&
    notices.every((notice) => typeof notice === "string") &&
    Array.isArray(usable) &&
    usable.every((border) => typeof border === "boolean")
  );
}

function isInputs(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((input) => typeof input === "string");
}
