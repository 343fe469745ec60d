import { setImmediate } from "node:timers/promises";
import { CancelledError } from "../errors.js";

/** Work on the main thread stops for the event loop at least this often, so that Ctrl-C, timers and progress go on. */
const SLICE_MS = 20;

/** Called between items of a long loop: lets the event loop run now and then, and throws where the work was cancelled. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #sliceStart = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.#check();
  }

  async pause(): Promise<void> {
    if (performance.now() - this.#sliceStart < SLICE_MS) return;
    await setImmediate();
    this.#sliceStart = performance.now();
    this.#check();
  }

  #check(): void {
    if (this.#signal?.aborted === true) throw new CancelledError();
  }
}
