import { open, stat, type FileHandle } from "node:fs/promises";
import { InputError } from "../errors.js";
import { readExactly, unreadable } from "./exact-io.js";
import type { GgufFile } from "./gguf-file.js";
import { LIMITS } from "./limits.js";
import { folderError, requireMagic } from "./not-gguf.js";
import { MoreBytesNeeded, parseHeader } from "./parse-header.js";

/** An adapter's whole header fits; a model with a large vocabulary needs two or three more reads. */
const FIRST_READ_BYTES = 256 * 1024;
const GROWTH = 4;
/** Enough to tell what a file is that is not GGUF. */
const RECOGNISED_BYTES = 512;

/**
 * Reads header, metadata and tensor table of a GGUF file, version 2 or 3, in growing chunks; never the tensor data.
 * Everything is checked: names are unique, every count has a limit, every tensor lies inside the file.
 *
 * @throws InputError FILE_* where it is no readable GGUF file (missing, folder, empty, Git LFS pointer, other format),
 *   GGUF_* where it is a damaged or unsupported one; `details.missingBytes` of GGUF_TRUNCATED says how much is lacking
 */
export async function readGguf(path: string): Promise<GgufFile> {
  const handle = await openForReading(path);
  try {
    const fileBytes = (await handle.stat()).size;
    let bytes = await readStart(handle, path, Buffer.alloc(0), Math.min(FIRST_READ_BYTES, fileBytes));
    requireMagic(bytes.subarray(0, RECOGNISED_BYTES), path);
    for (;;) {
      // Parsing starts over after each read: all tries together cost a third more than one.
      const parsed = parseHeader(bytes, path, fileBytes);
      if (!(parsed instanceof MoreBytesNeeded)) return parsed;
      const wanted = Math.max(parsed.atLeast, bytes.length * GROWTH);
      bytes = await readStart(handle, path, bytes, Math.min(wanted, fileBytes, LIMITS.headerBytes));
    }
  } finally {
    await handle.close();
  }
}

/**
 * Opens a regular file.
 *
 * @throws InputError FILE_MISSING, FILE_IS_*_FOLDER, FILE_NOT_REGULAR, FILE_UNREADABLE
 */
export async function openForReading(path: string): Promise<FileHandle> {
  try {
    // Asked before opening: opening a named pipe would wait for its other end.
    const stats = await stat(path);
    if (stats.isDirectory()) throw await folderError(path);
    if (!stats.isFile()) {
      throw new InputError("FILE_NOT_REGULAR", `${path}: expected a file but received a device, pipe or socket.`, {
        details: { path },
      });
    }
    return await open(path, "r");
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new InputError("FILE_MISSING", `${path}: there is no such file; check the path.`, {
        cause: error,
        details: { path },
      });
    }
    throw unreadable(path, error);
  }
}

async function readStart(handle: FileHandle, path: string, known: Buffer, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  known.copy(bytes);
  await readExactly(handle, path, bytes.subarray(known.length), known.length);
  return bytes;
}
