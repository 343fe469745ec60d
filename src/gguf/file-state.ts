import { stat, type FileHandle } from "node:fs/promises";
import { InputError } from "../errors.js";

/** What the file system says of a file's content: another value means that somebody has written to it. */
export async function fileState(file: string | FileHandle): Promise<string> {
  const options = { bigint: true } as const;
  const { size, mtimeNs, ino } = await (typeof file === "string" ? stat(file, options) : file.stat(options));
  return `${ino}:${size}:${mtimeNs}`;
}

/**
 * @param file the open file, where another one that took its name meanwhile does not matter; default what is at `path`
 * @throws InputError FILE_CHANGED where the file is no longer what `state` was taken of
 */
export async function requireUnchanged(path: string, state: string, file: string | FileHandle = path): Promise<void> {
  const now = await fileState(file).catch(() => "missing");
  if (now === state) return;
  throw new InputError(
    "FILE_CHANGED",
    `${path}: The file has changed on the disk since it was opened, so nothing that was made or measured of it holds; run again.`,
    { details: { path } },
  );
}
