import type { FileHandle } from "node:fs/promises";
import { VerificationError } from "../errors.js";
import { copyTensors, type CopyOptions } from "./copy-tensors.js";
import { encodeHeader, type GgufContent } from "./encode-header.js";
import { throwIfCancelled, writeExactly } from "./exact-io.js";
import type { GgufFile } from "./gguf-file.js";
import { openForReading, readGguf } from "./read-gguf.js";
import { writeTarget, type TargetOptions } from "./target-file.js";

export interface WriteGgufOptions extends TargetOptions, CopyOptions {
  /** A last check of the finished file, given its temporary path; where it throws, nothing is written. */
  readonly verify?: (path: string) => Promise<void>;
  /** Further files that are never written over, beside those that the tensors come from. */
  readonly inputs?: readonly string[];
}

export interface WrittenGguf {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Writes a GGUF file: the metadata's own bytes, and tensor bytes copied or rewritten from the files that their descriptors name.
 * Before the file takes its name it is re-read by the reader, its header compared with what was meant, every tensor
 * byte compared with what was meant, and everything synced to the disk. Comparing reads back through the page cache, so
 * it finds bytes at a wrong place or changed on the way, not a disk that stores wrongly what it was given.
 *
 * @throws UsageError, BackendError see {@link writeTarget}
 * @throws InputError where a source cannot be read, shrinks or is written to meanwhile
 * @throws VerificationError WRITTEN_HEADER_DIFFERS, WRITTEN_BYTES_DIFFER
 * @throws CancelledError
 */
export async function writeGguf(
  target: string,
  content: GgufContent,
  options: WriteGgufOptions = {},
): Promise<WrittenGguf> {
  throwIfCancelled(options.signal);
  const paths = [...new Set(content.tensors.map(({ path }) => path))];
  const inputs = [...(options.inputs ?? []), ...paths];
  const sources = new Map<string, FileHandle>();
  try {
    for (const path of paths) sources.set(path, await openForReading(path));
    return await writeTarget(target, inputs, options, async (handle, temporary) => {
      const { header, fileBytes } = encodeHeader(content);
      await writeExactly(handle, header, 0);
      // Padding is never written: what truncate adds reads as zeros.
      await handle.truncate(fileBytes);
      const written = await readGguf(temporary);
      requireSameHeader(written, content, header, target);
      const moves = content.tensors.flatMap((from, index) => {
        const source = sources.get(from.path);
        const to = written.tensors[index];
        return source === undefined || to === undefined ? [] : [{ from, source, to }];
      });
      await copyTensors(moves, handle, target, written.alignment, options);
      await options.verify?.(temporary);
      return { path: target, bytes: fileBytes };
    });
  } finally {
    for (const source of sources.values()) await source.close();
  }
}

function requireSameHeader(written: GgufFile, content: GgufContent, header: Buffer, target: string): void {
  const differs = (what: string) =>
    new VerificationError(
      "WRITTEN_HEADER_DIFFERS",
      `${target}: re-reading what was just written, ${what} differs from what was meant; nothing was kept. This is a bug: please report it.`,
      { details: { path: target, what } },
    );
  if (written.version !== content.version) throw differs("the version");
  if (content.tensors.length > 0 && written.dataOffset !== header.length) throw differs("the start of the data");
  if (written.metadata.size !== content.metadata.size) throw differs("the number of metadata keys");
  for (const [key, meant] of content.metadata) {
    const value = written.metadata.get(key);
    if (value?.type !== meant.type || !value.bytes.equals(meant.bytes)) throw differs(`metadata key \`${key}\``);
  }
  if (written.tensors.length !== content.tensors.length) throw differs("the number of tensors");
  content.tensors.forEach((meant, index) => {
    const tensor = written.tensors[index];
    if (
      tensor?.name !== meant.name ||
      tensor.type !== meant.type ||
      tensor.bytes !== meant.bytes ||
      tensor.shape.join() !== meant.shape.join()
    ) {
      throw differs(`tensor \`${meant.name}\``);
    }
  });
}
