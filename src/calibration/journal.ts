import { createReadStream } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { LineSplitter } from "../data/line-splitter.js";
import type { Batch } from "../engine/pack-batches.js";
import type { ScoreStore, SelfCheck } from "../engine/score-store.js";
import { InputError, UsageError } from "../errors.js";
import { targetError } from "../gguf/target-file.js";
import type { AnswerJournal } from "./journal-answers.js";
import { JOURNAL_SCHEMA, JournalContent, strengthsKey, type JournalLine, type JournalSet } from "./journal-content.js";
import { differences, type RunInputs } from "./run-record.js";

export interface JournalOptions {
  readonly path: string;
  /** Take up what the journal holds; where there is none yet, begin one. Default false. */
  readonly resume?: boolean | undefined;
  /** Begin anew over the journal of a run that has not ended. Default false. */
  readonly force?: boolean | undefined;
}

/** A power cut may lose so much; a crash of the process loses nothing that was written. */
const SYNC_EVERY_MS = 2_000;
/** Stops a file without newlines from filling the memory: a line holds eight answers of some hundred thousand tokens at most. */
const LONGEST_LINE_BYTES = 2 ** 26;

/**
 * Every finished batch of every candidate, scored or answered, one line each, beside what it was computed from: what a run
 * needs to go on after a crash as if nothing had happened. JSON Lines, schema `lora-boundary/journal@1`; numbers are exact doubles.
 */
export class Journal implements AsyncDisposable {
  /** What was found, and what was dropped; for the user, not for the result. */
  readonly notices: readonly string[];
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #content: JournalContent;
  #syncedAt = performance.now();

  private constructor(path: string, handle: FileHandle, content: JournalContent, notices: readonly string[]) {
    this.#path = path;
    this.#handle = handle;
    this.#content = content;
    this.notices = notices;
  }

  /**
   * @param inputs what every score in it depends on
   * @throws UsageError JOURNAL_UNFINISHED, JOURNAL_FOREIGN; InputError JOURNAL_OTHER_RUN with `differences`
   * @throws BackendError TARGET_*
   */
  static async open({ path, resume = false, force = false }: JournalOptions, inputs: RunInputs): Promise<Journal> {
    const { content, goodBytes, bytes, lines } = await readJournal(path);
    if (content.inputs === null && bytes > 0 && !(await isCutHeader(path))) {
      throw foreign(path);
    }
    if (!resume && content.inputs !== null && !content.finished && !force) {
      throw new UsageError(
        "JOURNAL_UNFINISHED",
        `${path}: this is the journal of a run that has not ended (${content.scores} scores). Continue it with --resume, or start over with --force.`,
        { details: { path } },
      );
    }
    const kept = resume && content.inputs !== null;
    if (kept) requireSame(path, content.inputs, inputs);
    const notices = resume ? resumeNotices(path, content, lines, bytes > goodBytes) : [];
    try {
      const handle = await open(path, "a");
      await handle.truncate(kept ? goodBytes : 0);
      const journal = new Journal(path, handle, kept ? content : new JournalContent(), notices);
      if (!kept) await journal.#append({ schema: JOURNAL_SCHEMA, inputs });
      return journal;
    } catch (error) {
      throw targetError(path, error);
    }
  }

  /**
   * @param inputs of the set alone
   * @param batches the session's packing
   * @throws InputError JOURNAL_OTHER_RUN
   */
  async storeOf(set: string, inputs: RunInputs, batches: readonly Batch[]): Promise<ScoreStore> {
    const known = await this.#setOf(set, inputs);
    return {
      check: known.check,
      storeCheck: (check: SelfCheck) => this.#append({ set, check }),
      sums: (batch, strengths) => {
        const sums = known.sums(batch, strengthsKey(strengths));
        return sums?.length === batches[batch]?.length ? sums : undefined;
      },
      store: (batch, strengths, sums) =>
        this.#append({ set, batch, strengths: strengthsKey(strengths), sums: Array.from(sums) }),
    };
  }

  /**
   * @param inputs of the answers alone, the metric not among them: another one scores the same answers
   * @param batches samples that are answered together
   * @param metric its identity
   * @throws InputError JOURNAL_OTHER_RUN
   */
  async answersOf(inputs: RunInputs, batches: readonly Batch[], metric: string): Promise<AnswerJournal> {
    const set = "answers";
    const { answers: known } = await this.#setOf(set, inputs);
    return {
      scoredBy: known.scoredBy,
      answers: (batch, strengths) => {
        const written = known.written(batch, strengthsKey(strengths));
        return written?.answers.length === batches[batch]?.length ? written : undefined;
      },
      storeAnswers: (batch, strengths, { answers, facts }) =>
        this.#append({
          ...{ set, batch, strengths: strengthsKey(strengths), facts },
          answers: answers.map(({ text, tokens, margins, finish }) => ({
            ...{ text, finish, tokens: Array.from(tokens) },
            // JSON has no infinity: where no other token was allowed.
            margins: Array.from(margins, (margin) => Math.min(margin, Number.MAX_VALUE)),
          })),
        }),
      scores: (batch, strengths) => known.scores(batch, strengthsKey(strengths), metric),
      storeScores: (batch, strengths, scores) =>
        this.#append({ set, batch, strengths: strengthsKey(strengths), metric, scores }),
    };
  }

  /** Marks the run as ended: the next one may write over the journal. */
  async finish(): Promise<void> {
    if (!this.#content.finished) await this.#append({ finished: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#handle.datasync();
    } finally {
      await this.#handle.close();
    }
  }

  async #setOf(set: string, inputs: RunInputs): Promise<JournalSet> {
    const known = this.#content.set(set);
    if (known.inputs === null) await this.#append({ set, inputs });
    else requireSame(this.#path, known.inputs, inputs);
    return known;
  }

  async #append(line: JournalLine): Promise<void> {
    const text = JSON.stringify(line);
    this.#content.read(text);
    try {
      // At the end, wherever another process has moved it; a line that is cut has no newline and is dropped later.
      await this.#handle.appendFile(`${text}\n`);
      if (performance.now() - this.#syncedAt < SYNC_EVERY_MS) return;
      await this.#handle.datasync();
      this.#syncedAt = performance.now();
    } catch (error) {
      throw targetError(this.#path, error);
    }
  }
}

interface ReadJournal {
  readonly content: JournalContent;
  /** Up to the first line that is none. */
  readonly goodBytes: number;
  readonly lines: number;
  readonly bytes: number;
}

async function readJournal(path: string): Promise<ReadJournal> {
  const content = new JournalContent();
  let [goodBytes, lines, broken] = [0, 0, false];
  const splitter = new LineSplitter(
    LONGEST_LINE_BYTES,
    (bytes) => {
      broken ||= !content.read(Buffer.from(bytes).toString("utf8"));
      if (broken) return;
      goodBytes += bytes.length + 1;
      lines += 1;
    },
    () => {
      throw foreign(path);
    },
  );
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  if (bytes === 0) return { content, goodBytes, lines, bytes };
  // A last line without its newline is never handed out: it may be the beginning of a longer one.
  for await (const chunk of createReadStream(path)) splitter.push(chunk as Uint8Array);
  return { content, goodBytes, lines, bytes };
}

/** A crash while the first line was written: nothing is lost. */
async function isCutHeader(path: string): Promise<boolean> {
  const start = `{"schema":"${JOURNAL_SCHEMA}"`;
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(start.length), 0, start.length, 0);
    return start.startsWith(buffer.toString("utf8", 0, bytesRead));
  } finally {
    await handle.close();
  }
}

function resumeNotices(path: string, content: JournalContent, lines: number, cut: boolean): string[] {
  if (content.inputs === null) {
    return [`${path}: there is no journal to resume from yet, so the search starts from the beginning.`];
  }
  const dropped = cut
    ? [`${path}: line ${lines + 1} is cut or damaged; it and what follows it are dropped and computed again.`]
    : [];
  const answers = content.answers > 0 ? ` and ${content.answers} answers` : "";
  return [
    ...dropped,
    `${path}: ${content.scores} finished scores${answers} are taken from it, none of them computed again.`,
  ];
}

function requireSame(path: string, recorded: RunInputs | null, now: RunInputs): void {
  const changed = differences(recorded ?? {}, now);
  if (changed.length === 0) return;
  throw new InputError(
    "JOURNAL_OTHER_RUN",
    `${path}: this journal is of another run: ${changed.join("; ")}. Scores of the two must not be mixed: resume with what it was begun with, or start over without --resume and with --force.`,
    { details: { path, differences: changed } },
  );
}

function foreign(path: string): UsageError {
  return new UsageError(
    "JOURNAL_FOREIGN",
    `${path}: expected a journal of this program, or no file, but received another file, which is never written over; give another name with --journal.`,
    { details: { path } },
  );
}
