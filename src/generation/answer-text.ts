/**
 * An answer as text while its tokens arrive. Characters and stop strings may lie across token borders: text is handed out
 * only when no stop string can begin in it any more.
 */
export class AnswerText {
  readonly #stop: readonly string[];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #text = "";
  #shown = 0;
  #stopped = false;

  /** @param stop texts that end the answer, none of them empty; they are not part of it */
  constructor(stop: readonly string[]) {
    this.#stop = stop;
  }

  /** Whether a stop string was met. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** So far; after the end all of it. */
  get text(): string {
    return this.#text;
  }

  /**
   * @param bytes of the next token
   * @returns text that is certain now, "" where there is none
   */
  push(bytes: Uint8Array): string {
    return this.#stopped ? "" : this.#extend(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The answer is over: what was held back; bytes that are no whole character become U+FFFD. */
  end(): string {
    if (this.#stopped) return "";
    const last = this.#extend(this.#decoder.decode());
    const held = this.#text.slice(this.#shown);
    this.#shown = this.#text.length;
    return last + held;
  }

  #extend(more: string): string {
    const longest = Math.max(0, ...this.#stop.map(({ length }) => length));
    const from = Math.max(0, this.#text.length - longest + 1);
    this.#text += more;
    const found = this.#stop.map((stop) => this.#text.indexOf(stop, from)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#stopped = true;
      this.#text = this.#text.slice(0, Math.min(...found));
    }
    const certain = this.#stopped ? this.#text.length : this.#text.length - this.#held();
    const piece = this.#text.slice(this.#shown, certain);
    this.#shown = Math.max(this.#shown, certain);
    return piece;
  }

  /** Length of the longest end of the text that a stop string begins with. */
  #held(): number {
    let held = 0;
    for (const stop of this.#stop) {
      for (let length = Math.min(stop.length - 1, this.#text.length); length > held; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) held = length;
      }
    }
    return held;
  }
}
