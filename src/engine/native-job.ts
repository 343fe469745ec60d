import { BackendError, CancelledError, InternalError, LoraBoundaryError, MemoryError, UsageError } from "../errors.js";
import type { NativeAddon, NativeCode, NativeJobControl } from "../native/types.js";

export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called while the job runs, with its share done, 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

const PROGRESS_EVERY_MS = 100;

/**
 * Runs one asynchronous job of the addon: aborts it when `signal` fires, reports its progress, and turns what it throws
 * into the error family with the caller's stack.
 */
export async function nativeJob<Result>(
  addon: NativeAddon,
  start: (control: NativeJobControl) => Promise<Result>,
  { signal, onProgress }: JobOptions = {},
): Promise<Result> {
  if (signal?.aborted === true) throw new CancelledError();
  const control = new addon.JobControl();
  const abort = () => {
    control.abort();
  };
  signal?.addEventListener("abort", abort, { once: true });
  const thrown: { error?: unknown } = {};
  const report = () => {
    try {
      onProgress?.(control.progress());
    } catch (error) {
      // Thrown in a timer it would end the process: the job is stopped and its promise rejects instead.
      thrown.error ??= error;
      control.abort();
    }
  };
  const timer = onProgress === undefined ? undefined : setInterval(report, PROGRESS_EVERY_MS);
  try {
    const result = await start(control);
    requireServers(addon);
    return result;
  } catch (error) {
    if (thrown.error instanceof Error) throw thrown.error;
    requireServers(addon);
    throw fromNative(error);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * What is computed on a server that went away ends without an error, and is worth nothing.
 *
 * @throws BackendError SERVER_GONE
 */
function requireServers(addon: NativeAddon): void {
  const lost = addon.lostServers();
  if (lost.length === 0) return;
  throw new BackendError(
    "SERVER_GONE",
    `The RPC server ${lost.join(", ")} went away while it was needed. Start it again, look at what it printed last (memory, most often), and repeat the command.`,
    { details: { servers: lost } },
  );
}

/** Codes that tell of a bug of ours, not of the user's input or machine. */
const BUGS: ReadonlySet<string> = new Set<NativeCode>(["BAD_ARGUMENT", "BUSY", "INTERNAL"]);

/** The error family's member for what the addon threw. */
export function fromNative(error: unknown): Error {
  if (error instanceof LoraBoundaryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "INTERNAL";
  const options = { cause: error };
  if (code === "CANCELLED") return new CancelledError("Cancelled.", options);
  if (code === "DISPOSED") return new UsageError("DISPOSED", `${message}; load it again.`, options);
  if (code === "OUT_OF_MEMORY") {
    return new MemoryError(
      "OUT_OF_MEMORY",
      `${message} Give less to do at once: a smaller batchTokens, or shorter samples.`,
      options,
    );
  }
  if (BUGS.has(code)) return new InternalError("NATIVE", `${message} This is a bug: please report it.`, options);
  return new BackendError(code, `${message}.`, options);
}
