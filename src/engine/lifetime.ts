import { UsageError } from "../errors.js";

/**
 * Ownership: a parent owns its children and closes them first; closing waits for running work, and closing twice is the
 * same as once. Work on one owner runs one piece at a time.
 */
export abstract class Owned implements AsyncDisposable {
  readonly #parent: Owned | null;
  readonly #children = new Set<Owned>();
  #tail: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  protected constructor(parent: Owned | null) {
    this.#parent = parent;
    if (parent !== null) {
      parent.requireOpen();
      parent.#children.add(this);
    }
  }

  /** Frees what only this object holds; called once, when nothing works on it any more. */
  protected abstract release(): void;

  /** For messages: `model base.gguf`. */
  protected abstract readonly label: string;

  /** @throws UsageError DISPOSED */
  protected requireOpen(): void {
    if (this.#closed !== null) {
      throw new UsageError("DISPOSED", `The ${this.label} has been disposed of; load it again.`);
    }
  }

  /** Runs `work` when everything queued before it has ended. */
  protected async enqueue<Result>(work: () => Promise<Result>): Promise<Result> {
    this.requireOpen();
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return await result;
  }

  /** Waits for running work, then frees memory. Safe to call again. The twin of `await using`. */
  dispose(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #close(): Promise<void> {
    for (const child of this.#children) await child.dispose();
    await this.#tail;
    this.release();
    if (this.#parent !== null) this.#parent.#children.delete(this);
  }
}
