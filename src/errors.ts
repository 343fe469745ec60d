/**
 * One error family. Every error that this package throws on purpose is a `LoraBoundaryError` with a stable
 * `code` for programs, the `exitCode` that the command line uses, and `details` as data.
 * Messages follow "Expected X for `option` but received Y", name the file, line, tensor, value and limit,
 * and end with what to do next.
 */
export interface ErrorOptionsWithDetails extends ErrorOptions {
  /** Facts for programs: file, line, tensor, value, limit. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export abstract class LoraBoundaryError extends Error {
  abstract readonly exitCode: number;
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: ErrorOptionsWithDetails = {}) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The call or the command line is wrong: a missing argument, an option out of range, a target that exists. */
export class UsageError extends LoraBoundaryError {
  readonly exitCode = 2;
}

/** A file or its content is wrong, or two files do not fit together. */
export class InputError extends LoraBoundaryError {
  readonly exitCode = 3;
}

/** Not enough memory, estimated before anything is allocated or reported by the backend. */
export class MemoryError extends LoraBoundaryError {
  readonly exitCode = 4;
}

/** The addon, llama.cpp or a device is missing or failed; also an unwritable or full target. */
export class BackendError extends LoraBoundaryError {
  readonly exitCode = 5;
}

/** What was written is not what was meant. */
export class VerificationError extends LoraBoundaryError {
  readonly exitCode = 6;
}

/** A broken invariant: a bug in this package. */
export class InternalError extends LoraBoundaryError {
  readonly exitCode = 70;
}

/** Cancelled through an `AbortSignal` or Ctrl-C. */
export class CancelledError extends LoraBoundaryError {
  readonly exitCode = 130;

  constructor(message = "Cancelled.", options: ErrorOptionsWithDetails = {}) {
    super("CANCELLED", message, options);
  }
}
