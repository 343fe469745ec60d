import { expect } from "vitest";
import { LoraBoundaryError } from "../../src/errors.js";

/** The call must throw one of this package's errors with that code, its message as expected; returned for its details. */
export function expectError(call: () => unknown, code: string, message: RegExp): LoraBoundaryError {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(LoraBoundaryError);
  const known = error as LoraBoundaryError;
  expect(known.code).toBe(code);
  expect(known.message).toMatch(message);
  return known;
}
