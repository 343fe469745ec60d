import type { FileHandle } from "node:fs/promises";
import { CancelledError, InputError } from "../errors.js";

/**
 * Fills `buffer` from `position` of an open file; the system may deliver a read in parts.
 *
 * @throws InputError FILE_SHRANK where the file ends before the buffer is full, FILE_UNREADABLE where the system fails
 */
export async function readExactly(handle: FileHandle, path: string, buffer: Buffer, position: number): Promise<void> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle
      .read(buffer, filled, buffer.length - filled, position + filled)
      .catch((error: unknown) => {
        throw unreadable(path, error);
      });
    if (bytesRead === 0) {
      throw new InputError(
        "FILE_SHRANK",
        `${path}: expected ${buffer.length} bytes at ${position} but the file ends after ${filled} of them; it was changed while it was read.`,
        { details: { path, position, missingBytes: buffer.length - filled } },
      );
    }
    filled += bytesRead;
  }
}

/** The error for a file that the system refuses to open or read. */
export function unreadable(path: string, cause: unknown): InputError {
  const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
  return new InputError(
    "FILE_UNREADABLE",
    `${path}: the file cannot be read (${code}); check its permissions and its disk.`,
    { cause, details: { path, systemCode: code } },
  );
}

/** Writes all of `buffer` at `position`; the system may take a write in parts. */
export async function writeExactly(handle: FileHandle, buffer: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < buffer.length) {
    const { bytesWritten } = await handle.write(buffer, written, buffer.length - written, position + written);
    written += bytesWritten;
  }
}

/** @throws CancelledError once `signal` has fired */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new CancelledError();
}
