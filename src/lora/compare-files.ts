import type { FileHandle } from "node:fs/promises";
import { readExactly, throwIfCancelled } from "../gguf/exact-io.js";
import type { GgufFile, TensorDescriptor } from "../gguf/gguf-file.js";
import type { MetadataValue } from "../gguf/metadata.js";
import { openForReading, readGguf } from "../gguf/read-gguf.js";
import { parseAdapter, saysAdapter } from "./adapter-file.js";
import { relativeStrengths, type RelativeStrengths } from "./relative-strengths.js";

const BLOCK_BYTES = 1024 * 1024;
/** Of a value in the result; a vocabulary or a chat template would bury the rest. */
const VALUE_LENGTH = 200;

export interface TensorDifference {
  readonly name: string;
  /** `type F32 to F16`, `shape [8, 2] to [8, 16]`, `data`. */
  readonly what: readonly string[];
}

/** What differs between two GGUF files, first to second. */
export interface FileComparison {
  readonly first: { readonly path: string; readonly bytes: number };
  readonly second: { readonly path: string; readonly bytes: number };
  readonly metadata: {
    readonly added: readonly { readonly key: string; readonly value: string }[];
    readonly removed: readonly { readonly key: string; readonly value: string }[];
    readonly changed: readonly { readonly key: string; readonly from: string; readonly to: string }[];
  };
  readonly tensors: {
    readonly same: number;
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly TensorDifference[];
  };
  /** Of two adapters: the strengths that make the second one out of the first. */
  readonly strengths: RelativeStrengths | null;
  /** Nothing differs. */
  readonly same: boolean;
}

/**
 * Compares two GGUF files: metadata, tensors with every byte of their data, and of two adapters the strength of each layer. Of split
 * models it compares the parts that are given.
 *
 * @throws InputError see {@link readGguf} and `readAdapter`; CancelledError
 */
export async function compareFiles(
  firstPath: string,
  secondPath: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<FileComparison> {
  const [first, second] = [await readGguf(firstPath), await readGguf(secondPath)];
  const metadata = compareMetadata(first.metadata, second.metadata);
  const tensors = await compareTensors(first, second, options.signal);
  const adapters = saysAdapter(first) && saysAdapter(second);
  const lists = [...Object.values(metadata), tensors.added, tensors.removed, tensors.changed];
  return {
    first: { path: first.path, bytes: first.fileBytes },
    second: { path: second.path, bytes: second.fileBytes },
    metadata,
    tensors,
    strengths: adapters ? await relativeStrengths(parseAdapter(first), parseAdapter(second)) : null,
    same: lists.every((list) => list.length === 0),
  };
}

function compareMetadata(
  first: ReadonlyMap<string, MetadataValue>,
  second: ReadonlyMap<string, MetadataValue>,
): FileComparison["metadata"] {
  const only = (here: typeof first, there: typeof first) =>
    [...here].filter(([key]) => !there.has(key)).map(([key, value]) => ({ key, value: valueText(value) }));
  const changed = [...first].flatMap(([key, from]) => {
    const to = second.get(key);
    const same = to === undefined || (to.type === from.type && to.bytes.equals(from.bytes));
    return same ? [] : [{ key, from: valueText(from), to: valueText(to) }];
  });
  return { added: only(second, first), removed: only(first, second), changed };
}

function valueText(value: MetadataValue): string {
  if (value.type === "array" && (value.length ?? 0) > VALUE_LENGTH) return `${value.length ?? 0} values`;
  const text = String(value.decode());
  return text.length > VALUE_LENGTH ? `${text.slice(0, VALUE_LENGTH)}...` : text;
}

async function compareTensors(
  first: GgufFile,
  second: GgufFile,
  signal: AbortSignal | undefined,
): Promise<FileComparison["tensors"]> {
  const there = new Map(second.tensors.map((tensor) => [tensor.name, tensor]));
  const here = new Set(first.tensors.map(({ name }) => name));
  const removed: string[] = [];
  const changed: TensorDifference[] = [];
  let same = 0;
  const handles = [await openForReading(first.path), await openForReading(second.path)] as const;
  try {
    for (const tensor of first.tensors) {
      throwIfCancelled(signal);
      const other = there.get(tensor.name);
      if (other === undefined) {
        removed.push(tensor.name);
        continue;
      }
      const what = await differences(tensor, other, handles);
      if (what.length === 0) same++;
      else changed.push({ name: tensor.name, what });
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
  return { same, added: second.tensors.map(({ name }) => name).filter((name) => !here.has(name)), removed, changed };
}

async function differences(
  first: TensorDescriptor,
  second: TensorDescriptor,
  handles: readonly [FileHandle, FileHandle],
): Promise<string[]> {
  const what = [
    ...(first.type === second.type ? [] : [`type ${first.type.name} to ${second.type.name}`]),
    ...(first.shape.join() === second.shape.join()
      ? []
      : [`shape [${first.shape.join(", ")}] to [${second.shape.join(", ")}]`]),
  ];
  return what.length > 0 || (await haveSameData(first, second, handles)) ? what : ["data"];
}

async function haveSameData(
  first: TensorDescriptor,
  second: TensorDescriptor,
  [firstHandle, secondHandle]: readonly [FileHandle, FileHandle],
): Promise<boolean> {
  for (let at = 0; at < first.bytes; at += BLOCK_BYTES) {
    const bytes = Math.min(BLOCK_BYTES, first.bytes - at);
    const [here, there] = [Buffer.allocUnsafe(bytes), Buffer.allocUnsafe(bytes)];
    await Promise.all([
      readExactly(firstHandle, first.path, here, first.offset + at),
      readExactly(secondHandle, second.path, there, second.offset + at),
    ]);
    if (!here.equals(there)) return false;
  }
  return true;
}
