import { randomBytes } from "node:crypto";
import { access, constants, link, lstat, open, readdir, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BackendError, LoraBoundaryError, UsageError } from "../errors.js";
import { throwIfCancelled } from "./exact-io.js";

export interface TargetOptions {
  /** Replace an existing file. Never the input, whatever is set. Default false. */
  readonly force?: boolean;
  /** Stops between two blocks; the temporary file is removed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives `target` its content in one step: `fill` writes a temporary file in the same folder, which takes the target's
 * name only when `fill` has returned, so a failure, a cancel or a crash never leaves half a file under that name.
 *
 * @param inputs files that the target must not be, under any name, hard link or symbolic link
 * @param fill must have written, checked and synced everything when it returns
 * @throws UsageError TARGET_EXISTS, TARGET_IS_INPUT, TARGET_IS_FOLDER
 * @throws BackendError TARGET_UNWRITABLE, TARGET_FULL
 * @throws CancelledError
 */
export async function writeTarget<Result>(
  target: string,
  inputs: readonly string[],
  options: TargetOptions,
  fill: (handle: FileHandle, temporary: string) => Promise<Result>,
): Promise<Result> {
  await requireTarget(target, inputs, options);
  const folder = dirname(resolve(target));
  const temporary = join(folder, `${temporaryPrefix(target)}${randomBytes(6).toString("hex")}.tmp`);
  try {
    const handle = await open(temporary, "wx+");
    try {
      const result = await fill(handle, temporary);
      await handle.close();
      throwIfCancelled(options.signal);
      await publish(temporary, target, options.force === true);
      await syncFolder(folder);
      return result;
    } catch (error) {
      // Closing twice is safe; on Windows an open file cannot be removed.
      await handle.close();
      await removeIfThere(temporary);
      throw error;
    }
  } catch (error) {
    throw targetError(target, error);
  }
}

/**
 * What {@link writeTarget} asks before it writes, for a long job to ask before it starts.
 *
 * @throws UsageError TARGET_EXISTS, TARGET_IS_INPUT, TARGET_IS_FOLDER; BackendError TARGET_UNWRITABLE
 */
export async function requireTarget(
  target: string,
  inputs: readonly string[],
  { force = false }: Pick<TargetOptions, "force"> = {},
): Promise<void> {
  await refuseTarget(target, inputs, force);
  try {
    await access(dirname(resolve(target)), constants.W_OK);
  } catch (error) {
    throw targetError(target, error);
  }
}

/** Removes what a killed process has left of `target`; only where none is writing it now. */
export async function removeLeftovers(target: string): Promise<void> {
  const folder = dirname(resolve(target));
  const prefix = temporaryPrefix(target);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (name.startsWith(prefix) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(prefix.length))) {
      await removeIfThere(join(folder, name));
    }
  }
}

/** A name cut to 40 characters keeps the whole below the 255 bytes that file systems allow. */
function temporaryPrefix(target: string): string {
  return `.${basename(target).slice(0, 40)}.`;
}

async function refuseTarget(target: string, inputs: readonly string[], force: boolean): Promise<void> {
  const existing = await stat(target, { bigint: true }).catch((error: unknown) => {
    // A symbolic link that leads nowhere is still something under that name.
    if (isSystemError(error, "ENOENT")) return lstat(target, { bigint: true }).catch(ignoreMissing);
    throw targetError(target, error);
  });
  if (existing === undefined) return;
  const details = { path: target };
  if (existing.isDirectory()) {
    throw new UsageError("TARGET_IS_FOLDER", `${target}: expected a file to write but received a folder; add a name.`, {
      details,
    });
  }
  for (const input of inputs) {
    // An input that is not there is not the target; reading it is what should fail.
    const source = await stat(input, { bigint: true }).catch(ignoreMissing);
    if (source === undefined) continue;
    if (source.dev === existing.dev && source.ino === existing.ino) {
      throw new UsageError(
        "TARGET_IS_INPUT",
        `${target}: this is the input ${input} itself, which is never written over; give another name.`,
        { details: { ...details, input } },
      );
    }
  }
  if (!force) throw existsError(target);
  if (!existing.isFile() && !existing.isSymbolicLink()) {
    throw new UsageError("TARGET_EXISTS", `${target}: this is a device, pipe or socket; give another name.`, {
      details,
    });
  }
}

function existsError(target: string, cause?: unknown): UsageError {
  return new UsageError(
    "TARGET_EXISTS",
    `${target}: there is such a file already; give another name or write over it with --force.`,
    { cause, details: { path: target } },
  );
}

/** Without `force` the name is taken by a link, which fails where somebody else has taken it meanwhile. */
async function publish(temporary: string, target: string, force: boolean): Promise<void> {
  if (!force) {
    try {
      await link(temporary, target);
      await unlink(temporary);
      return;
    } catch (error) {
      if (isSystemError(error, "EEXIST")) throw existsError(target, error);
      // File systems without hard links (FAT, some network drives): rename, the target was free a moment ago.
      if (!isSystemError(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EACCES")) throw error;
    }
  }
  await rename(temporary, target);
}

/** Makes the new name survive a power cut. Windows and some network drives cannot sync a folder. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!isSystemError(error, "EPERM", "EISDIR", "EACCES", "EINVAL", "ENOTSUP", "EBADF", "ENOSYS")) throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch(ignoreMissing);
}

function ignoreMissing(error: unknown): undefined {
  if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error;
}

function isSystemError(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

/** The error for a target that the system refuses to open or write; others as they are. */
export function targetError(target: string, error: unknown): unknown {
  if (error instanceof LoraBoundaryError || !(error instanceof Error)) return error;
  const code = String((error as NodeJS.ErrnoException).code);
  // Node.js itself refuses a name with a zero byte, before the system sees it.
  if (!("syscall" in error) && code !== "ERR_INVALID_ARG_VALUE") return error;
  const options = { cause: error, details: { path: target, systemCode: code } };
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new BackendError(
        "TARGET_FULL",
        `${target}: the disk is full, or the file is larger than the disk or quota allows (${code}); nothing was written. Free some space or give a target on another disk.`,
        options,
      );
    case "ENOENT":
    case "ENOTDIR":
      return new BackendError(
        "TARGET_UNWRITABLE",
        `${target}: its folder does not exist; nothing was written. Create the folder first.`,
        options,
      );
    default:
      return new BackendError(
        "TARGET_UNWRITABLE",
        `${target}: the file cannot be written (${code}); nothing was written. Check the permissions of its folder or give another target.`,
        options,
      );
  }
}
