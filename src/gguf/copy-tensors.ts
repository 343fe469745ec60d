import type { FileHandle } from "node:fs/promises";
import { VerificationError } from "../errors.js";
import { readExactly, settleAll, throwIfCancelled, writeExactly } from "./exact-io.js";
import type { TensorDescriptor } from "./gguf-file.js";

/** Small enough to stay in the processor's cache between read and write, large enough to hide the cost of a call. */
const BLOCK_BYTES = 1024 * 1024;
/** Copied while the one before it is compared: what is compared was written a moment ago and needs no disk. */
const WINDOW_BYTES = 64 * 1024 * 1024;
/** Blocks on their way at the same time: one is read while another is written. */
const LANES = 2;

/** A stretch of one source file and the place it has in the target. */
interface Stretch {
  readonly source: FileHandle;
  readonly sourcePath: string;
  readonly sourceOffset: number;
  readonly targetOffset: number;
  readonly bytes: number;
}

/** A tensor's bytes now and in the target. */
export interface TensorMove {
  readonly from: TensorDescriptor;
  readonly source: FileHandle;
  readonly to: TensorDescriptor;
}

/**
 * Copies tensor bytes to their place in the target, re-reads every byte of them and compares it with the source, and
 * syncs the target. Comparing runs one window behind copying and the last comparison beside the sync, so that on the
 * usual machine neither adds much to the time of a plain copy.
 *
 * @param alignment of the target, the most that may lie between two neighbouring tensors
 * @throws VerificationError WRITTEN_BYTES_DIFFER naming the tensor
 */
export async function copyTensors(
  moves: readonly TensorMove[],
  target: FileHandle,
  targetPath: string,
  alignment: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const windows = cutIntoWindows(joinNeighbours(moves, alignment));
  const copying = Array.from({ length: LANES }, () => Buffer.allocUnsafe(BLOCK_BYTES));
  const comparing = { source: Buffer.allocUnsafe(BLOCK_BYTES), target: Buffer.allocUnsafe(BLOCK_BYTES) };

  const compare = async (blocks: readonly Stretch[]) => {
    for (const block of blocks) {
      throwIfCancelled(signal);
      const expected = comparing.source.subarray(0, block.bytes);
      const written = comparing.target.subarray(0, block.bytes);
      await Promise.all([
        readExactly(block.source, block.sourcePath, expected, block.sourceOffset),
        readExactly(target, targetPath, written, block.targetOffset),
      ]);
      if (!expected.equals(written)) throw differs(moves, block, expected, written, targetPath);
    }
  };

  let copied: readonly Stretch[] = [];
  for (const blocks of windows) {
    const queue = blocks.values();
    const lane = async (buffer: Buffer) => {
      for (const block of queue) {
        throwIfCancelled(signal);
        const bytes = buffer.subarray(0, block.bytes);
        await readExactly(block.source, block.sourcePath, bytes, block.sourceOffset);
        await writeExactly(target, bytes, block.targetOffset);
      }
    };
    await settleAll([...copying.map(lane), compare(copied)]);
    copied = blocks;
  }
  await settleAll([target.sync(), compare(copied)]);
}

/** Tensors that are neighbours in source and target make one stretch, the zeros between them included. */
function joinNeighbours(moves: readonly TensorMove[], alignment: number): Stretch[] {
  const stretches: Stretch[] = [];
  for (const { from, source, to } of moves) {
    const last = stretches.at(-1);
    const gap = last === undefined ? -1 : to.offset - (last.targetOffset + last.bytes);
    if (
      last?.source === source &&
      gap >= 0 &&
      gap < alignment &&
      from.offset - to.offset === last.sourceOffset - last.targetOffset
    ) {
      stretches[stretches.length - 1] = { ...last, bytes: last.bytes + gap + to.bytes };
    } else {
      const place = { sourceOffset: from.offset, targetOffset: to.offset, bytes: to.bytes };
      stretches.push({ source, sourcePath: from.path, ...place });
    }
  }
  return stretches;
}

function cutIntoWindows(stretches: readonly Stretch[]): Stretch[][] {
  const windows: Stretch[][] = [[]];
  let filled = 0;
  for (const stretch of stretches) {
    for (let at = 0; at < stretch.bytes; at += BLOCK_BYTES) {
      const bytes = Math.min(BLOCK_BYTES, stretch.bytes - at);
      if (filled + bytes > WINDOW_BYTES) {
        windows.push([]);
        filled = 0;
      }
      windows.at(-1)?.push({
        ...stretch,
        sourceOffset: stretch.sourceOffset + at,
        targetOffset: stretch.targetOffset + at,
        bytes,
      });
      filled += bytes;
    }
  }
  return windows;
}

function differs(
  moves: readonly TensorMove[],
  block: Stretch,
  expected: Buffer,
  written: Buffer,
  path: string,
): VerificationError {
  const first = block.targetOffset + expected.findIndex((byte, index) => byte !== written[index]);
  const tensor = moves.findLast(({ to }) => to.offset <= first)?.to.name ?? "";
  return new VerificationError(
    "WRITTEN_BYTES_DIFFER",
    `${path}: re-reading what was just written, byte ${first} (tensor \`${tensor}\`) differs from the source; nothing was kept. Check the disk and the memory of this machine, and that nothing writes to the source.`,
    { details: { path, tensor, byte: first } },
  );
}
