/** Cuts a stream of bytes at newlines, keeping at most one unfinished line in memory. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (bytes: Uint8Array, line: number) => void;
  readonly #onTooLong: (line: number) => never;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #line = 0;

  /** @param onTooLong throws for a line of more than `maxBytes`: without a bound, a file without newlines fills memory */
  constructor(maxBytes: number, onLine: (bytes: Uint8Array, line: number) => void, onTooLong: (line: number) => never) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  /** Takes the next bytes; the caller may reuse their memory afterwards. */
  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#take(chunk.subarray(start, end));
      this.#emit();
      start = end + 1;
    }
    if (start < chunk.length) this.#take(chunk.slice(start));
  }

  /** The last line, where the file does not end with a newline. */
  end(): void {
    if (this.#pendingBytes > 0) this.#emit();
  }

  #take(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > this.#maxBytes) this.#onTooLong(this.#line + 1);
    this.#pending.push(bytes);
  }

  #emit(): void {
    const bytes = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#line += 1;
    this.#onLine(bytes ?? new Uint8Array(0), this.#line);
  }
}
