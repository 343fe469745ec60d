import { duration, percent } from "../report/numbers.js";
import { clipped, printable, styleOf } from "../report/text.js";

export interface ProgressStep {
  /** What is being done: `Scoring boundaries`. */
  readonly label: string;
  /** In any unit; `done` of `total`. */
  readonly done: number;
  readonly total: number;
  /** Null before anything is known. */
  readonly secondsLeft: number | null;
}

export interface Progress {
  update(step: ProgressStep): void;
  /** Takes the line away; the next `update` starts a new wait. */
  done(): void;
}

export interface ProgressOptions {
  readonly write: (text: string) => void;
  /** A terminal that can rewrite a line; else a line is printed now and then. */
  readonly rewrites: boolean;
  /** Asked each time: a window may be resized. */
  readonly width: () => number;
  readonly unicode: boolean;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** What is over sooner needs no progress. */
const PATIENCE_MS = 2_000;
const REWRITE_MS = 100;
const LINE_MS = 10_000;
const CLEAR_LINE = "\r\u001b[K";

/** Progress on stderr. It has no timer, so it keeps no process alive and shows nothing that it was not told. */
export class ProgressLine implements Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  #nextAt: number | null = null;
  #shown = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  update(step: ProgressStep): void {
    const { write, rewrites, width, unicode } = this.#options;
    const now = this.#now();
    this.#nextAt ??= now + (rewrites ? PATIENCE_MS : LINE_MS);
    if (now < this.#nextAt) return;
    this.#nextAt = now + (rewrites ? REWRITE_MS : LINE_MS);
    const text = printable(stepText(step));
    if (!rewrites) {
      write(`${text}\n`);
      return;
    }
    // A line as wide as the terminal would break, and then not be rewritten.
    write(CLEAR_LINE + clipped(text, Math.max(1, width() - 1), styleOf({ width: width(), unicode })));
    this.#shown = true;
  }

  done(): void {
    this.hide();
    this.#nextAt = null;
  }

  /** Makes room for another text; the next `update` shows the line again. */
  hide(): void {
    if (this.#shown) this.#options.write(CLEAR_LINE);
    this.#shown = false;
  }
}

function stepText({ label, done, total, secondsLeft }: ProgressStep): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const left = secondsLeft === null ? "" : `, about ${duration(secondsLeft)} left`;
  return `${label}: ${percent(share)} %${left}`;
}
