import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { LoraBoundaryError } from "../../src/errors.js";

/** A folder for the test file's own data, gone when its tests are done. */
export function useFolder(): { path: string; write(name: string, content: string | Uint8Array): Promise<string> } {
  const folder = {
    path: "",
    async write(name: string, content: string | Uint8Array) {
      const path = join(folder.path, name);
      await writeFile(path, content);
      return path;
    },
  };
  beforeAll(async () => {
    folder.path = await mkdtemp(join(tmpdir(), "lora-boundary-data-"));
  });
  afterAll(() => rm(folder.path, { recursive: true, force: true }));
  return folder;
}

/** The error that a promise is rejected with; it must be one of the package's own. */
export async function failure(promise: Promise<unknown>): Promise<LoraBoundaryError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof LoraBoundaryError) return error;
    throw error;
  }
  throw new Error("expected an error but there was none");
}

export const jsonl = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row) + "\n").join("");
