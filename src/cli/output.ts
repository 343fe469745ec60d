import type { WriteStream } from "node:tty";

/**
 * One of the two standard streams. A reader that has gone (`| head -1`) is no failure: what is left is dropped
 * quietly. Any other failure is kept until the end, since it arrives after the write that it belongs to.
 */
export class Output {
  readonly #stream: WriteStream;
  #open = true;
  #failure: Error | null = null;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      this.#open = false;
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") this.#failure ??= error;
    });
  }

  get isTerminal(): boolean {
    // Not a terminal: Node.js leaves the property out, whatever its types say.
    return (this.#stream.isTTY as boolean | undefined) === true;
  }

  /** Columns of the terminal; 80 where there is none or it does not tell. */
  get width(): number {
    const { columns } = this.#stream as { readonly columns?: number };
    return this.isTerminal && columns !== undefined && columns > 0 ? columns : 80;
  }

  write(text: string): void {
    if (this.#open && text !== "") this.#stream.write(text);
  }

  /** A text with the line break that it lacks. */
  writeLines(text: string): void {
    this.write(text === "" || text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Waits until everything is written; the failure that kept something from it. */
  async drained(): Promise<Error | null> {
    if (this.#open) {
      await new Promise<void>((resolve) => {
        this.#stream.write("", () => {
          resolve();
        });
      });
      // A stream reports its error after the callback of the write.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#failure;
  }
}
