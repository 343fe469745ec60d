import type { FileHandle } from "node:fs/promises";
import { VerificationError } from "../errors.js";
import { readExactly, throwIfCancelled, writeExactly } from "./exact-io.js";
import { fileState, requireUnchanged } from "./file-state.js";
import type { TensorDescriptor } from "./gguf-file.js";
import type { Rewriting, TensorToWrite } from "./tensor-to-write.js";

/** Small enough to be in the processor's cache still when it is read back, large enough to hide the cost of a call. */
const BLOCK_BYTES = 1024 * 1024;
/** Blocks on their way at the same time: one is read while another is written. */
const LANES = 3;
/** Sent to the disk by one lane while the others copy on, so that little is left to wait for at the end. */
const SYNC_BYTES = 64 * 1024 * 1024;

/** A stretch of one source file and the place it has in the target. */
interface Stretch {
  readonly source: FileHandle;
  readonly sourcePath: string;
  readonly sourceOffset: number;
  readonly sourceBytes: number;
  readonly targetOffset: number;
  readonly bytes: number;
  readonly rewriting: Rewriting | undefined;
}

/** A tensor's bytes now and in the target. */
export interface TensorMove {
  readonly from: TensorToWrite;
  readonly source: FileHandle;
  readonly to: TensorDescriptor;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every block: bytes written so far, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Brings tensor bytes to their place in the target, rewritten where a tensor asks for it, re-reads every block that was written and compares
 * it with what was meant, and syncs the target.
 *
 * @param alignment of the target, the most that may lie between two neighbouring tensors
 * @throws VerificationError WRITTEN_BYTES_DIFFER naming the tensor
 * @throws InputError FILE_CHANGED where somebody has written to a source meanwhile
 */
export async function copyTensors(
  moves: readonly TensorMove[],
  target: FileHandle,
  targetPath: string,
  alignment: number,
  { signal, onProgress }: CopyOptions = {},
): Promise<void> {
  const sources = new Map(moves.map(({ source, from }) => [source, from.path]));
  const states = new Map<FileHandle, string>();
  for (const source of sources.keys()) states.set(source, await fileState(source));
  const blocks = joinNeighbours(moves, alignment).flatMap(cutIntoBlocks);
  const total = blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const queue = blocks.values();
  let [done, synced] = [0, 0];

  const lane = async () => {
    const [read, readBack] = [Buffer.allocUnsafe(BLOCK_BYTES), Buffer.allocUnsafe(BLOCK_BYTES)];
    for (const block of queue) {
      throwIfCancelled(signal);
      const meant = await contentOf(block, read);
      await writeExactly(target, meant, block.targetOffset);
      const written = spaceFor(block.bytes, readBack);
      await readExactly(target, targetPath, written, block.targetOffset);
      if (!meant.equals(written)) throw differs(moves, block, meant, written, targetPath);
      done += block.bytes;
      onProgress?.(done, total);
      if (done - synced >= SYNC_BYTES) {
        synced = done;
        await target.datasync();
      }
    }
  };
  await settleAll(Array.from({ length: LANES }, lane));
  await target.sync();
  for (const [source, path] of sources) await requireUnchanged(path, states.get(source) ?? "", source);
}

/** What a block has in the target. */
async function contentOf(block: Stretch, buffer: Buffer): Promise<Buffer> {
  const bytes = spaceFor(block.sourceBytes, buffer);
  await readExactly(block.source, block.sourcePath, bytes, block.sourceOffset);
  return block.rewriting?.rewrite(bytes) ?? bytes;
}

/** Only a part of a tensor that cannot be divided is larger than the buffer. */
function spaceFor(bytes: number, buffer: Buffer): Buffer {
  return bytes <= buffer.length ? buffer.subarray(0, bytes) : Buffer.allocUnsafe(bytes);
}

/** Copied tensors that are neighbours in source and target make one stretch, the zeros between them included. */
function joinNeighbours(moves: readonly TensorMove[], alignment: number): Stretch[] {
  const stretches: Stretch[] = [];
  for (const { from, source, to } of moves) {
    const last = stretches.at(-1);
    const gap = last === undefined ? -1 : to.offset - (last.targetOffset + last.bytes);
    if (
      last?.source === source &&
      last.rewriting === undefined &&
      from.rewriting === undefined &&
      gap >= 0 &&
      gap < alignment &&
      from.offset - to.offset === last.sourceOffset - last.targetOffset
    ) {
      const bytes = last.bytes + gap + to.bytes;
      stretches[stretches.length - 1] = { ...last, sourceBytes: bytes, bytes };
    } else {
      const sourceBytes = from.rewriting?.sourceBytes ?? to.bytes;
      const place = { sourceOffset: from.offset, sourceBytes, targetOffset: to.offset, bytes: to.bytes };
      stretches.push({ source, sourcePath: from.path, ...place, rewriting: from.rewriting });
    }
  }
  return stretches;
}

/** Blocks of whole parts, as many as fit. */
function cutIntoBlocks(stretch: Stretch): Stretch[] {
  const { sourceOffset, sourceBytes, targetOffset, bytes, rewriting } = stretch;
  const parts = rewriting?.parts ?? sourceBytes;
  const [partFrom, partTo] = [sourceBytes / parts, bytes / parts];
  const most = Math.max(1, Math.floor(BLOCK_BYTES / Math.max(partFrom, partTo)));
  const blocks: Stretch[] = [];
  for (let at = 0; at < parts; at += most) {
    const count = Math.min(most, parts - at);
    blocks.push({
      ...stretch,
      sourceOffset: sourceOffset + at * partFrom,
      sourceBytes: count * partFrom,
      targetOffset: targetOffset + at * partTo,
      bytes: count * partTo,
    });
  }
  return blocks;
}

/** Like Promise.all, but returns only when nothing works on the files any more, so that they can be closed. */
async function settleAll(tasks: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(tasks)).find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function differs(
  moves: readonly TensorMove[],
  block: Stretch,
  meant: Buffer,
  written: Buffer,
  path: string,
): VerificationError {
  const first = block.targetOffset + meant.findIndex((byte, index) => byte !== written[index]);
  const tensor = moves.findLast(({ to }) => to.offset <= first)?.to.name ?? "";
  return new VerificationError(
    "WRITTEN_BYTES_DIFFER",
    `${path}: re-reading what was just written, byte ${first} (tensor \`${tensor}\`) differs from what was meant; nothing was kept. Check the disk and the memory of this machine.`,
    { details: { path, tensor, byte: first } },
  );
}
