import { stat } from "node:fs/promises";
import { InputError } from "../errors.js";

/** What the file system says of a file's content: another value means that somebody has written to it. */
export async function fileState(path: string): Promise<string> {
  const { size, mtimeNs, ino } = await stat(path, { bigint: true });
  return `${ino}:${size}:${mtimeNs}`;
}

/** @throws InputError FILE_CHANGED where the file is no longer what `state` was taken of */
export async function requireUnchanged(path: string, state: string): Promise<void> {
  const now = await fileState(path).catch(() => "missing");
  if (now === state) return;
  throw new InputError(
    "FILE_CHANGED",
    `${path}: The file has changed on the disk since it was loaded, so nothing that was measured holds for it; run again.`,
    { details: { path } },
  );
}
