import type { FileHandle } from "node:fs/promises";
import { readExactly, throwIfCancelled } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { openForReading } from "../gguf/read-gguf.js";
import type { AdapterFile } from "./adapter-file.js";
import { throwProblems, type Problem } from "./problem.js";

export interface AdapterValues {
  /** ADAPTER_NOT_FINITE, one per tensor, and ADAPTER_CHANGES_NOTHING. */
  readonly problems: readonly Problem[];
  /** Tensors of types that are not looked into, so nothing is said of them. */
  readonly skipped: readonly TensorDescriptor[];
}

/** A multiple of every element and block size below. */
const CHUNK_BYTES = 34 * 32 * 1024;

/** What one chunk of a tensor holds. */
interface Finding {
  /** Index of the first element that is NaN or infinite, -1 if none is. */
  readonly notFinite: number;
  readonly allZero: boolean;
}

/** Typed arrays read in the machine's byte order, which is little-endian on every platform that Node.js supports llama.cpp on. */
const INSPECTORS: Readonly<Record<string, (bytes: Buffer) => Finding>> = {
  F32: (bytes) => inspect(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), 0x7fffffff, 0x7f800000),
  F16: (bytes) => inspect(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7fff, 0x7c00),
  BF16: (bytes) => inspect(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7fff, 0x7f80),
  Q8_0: inspectQ8,
};

/**
 * Reads all tensor data of an adapter's pairs once, some 10 ms for 10 MB, and looks for what no header shows: numbers
 * that are not finite, and products that are zero in every pair. F32, F16, BF16 and Q8_0 are looked into.
 *
 * @throws InputError where the file cannot be read; CancelledError
 */
export async function checkValues(
  adapter: AdapterFile,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<AdapterValues> {
  const problems: Problem[] = [];
  const skipped: TensorDescriptor[] = [];
  let changesSomething = false;
  const buffer = Buffer.from(new ArrayBuffer(CHUNK_BYTES));
  const handle = await openForReading(adapter.path);
  try {
    for (const pair of adapter.pairs) {
      let product = true;
      for (const tensor of [pair.a, pair.b]) {
        throwIfCancelled(options.signal);
        const finding = await inspectTensor(handle, tensor, buffer);
        if (finding === undefined) {
          skipped.push(tensor);
          continue;
        }
        if (finding.notFinite >= 0) problems.push(notFinite(adapter, tensor, finding.notFinite));
        if (finding.allZero) product = false;
      }
      changesSomething ||= product;
    }
  } finally {
    await handle.close();
  }
  if (!changesSomething) {
    problems.push({
      code: "ADAPTER_CHANGES_NOTHING",
      message: `${adapter.path}: The adapter changes nothing: in each of its ${adapter.pairs.length} pairs A or B is all zero, as before the first training step; give the trained adapter.`,
      details: { path: adapter.path },
    });
  }
  return { problems, skipped };
}

/** @throws InputError with every problem of {@link checkValues}, if there is one */
export async function requireSoundValues(
  adapter: AdapterFile,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<AdapterValues> {
  const values = await checkValues(adapter, options);
  throwProblems(values.problems);
  return values;
}

async function inspectTensor(
  handle: FileHandle,
  tensor: TensorDescriptor,
  buffer: Buffer,
): Promise<Finding | undefined> {
  const inspector = INSPECTORS[tensor.type.name];
  if (inspector === undefined) return undefined;
  let allZero = true;
  for (let at = 0; at < tensor.bytes; at += CHUNK_BYTES) {
    const chunk = buffer.subarray(0, Math.min(CHUNK_BYTES, tensor.bytes - at));
    await readExactly(handle, tensor.path, chunk, tensor.offset + at);
    const finding = inspector(chunk);
    allZero &&= finding.allZero;
    if (finding.notFinite >= 0) {
      const elementsBefore = (at / tensor.type.blockBytes) * tensor.type.blockElements;
      return { notFinite: elementsBefore + finding.notFinite, allZero };
    }
  }
  return { notFinite: -1, allZero };
}

/** Without the sign bit, floats order like integers: zero is 0 and everything from `infinity` on is not finite. */
function inspect(bits: Uint32Array | Uint16Array, withoutSign: number, infinity: number): Finding {
  let largest = 0;
  for (const element of bits) {
    const magnitude = element & withoutSign;
    if (magnitude > largest) largest = magnitude;
  }
  return {
    notFinite: largest < infinity ? -1 : bits.findIndex((element) => (element & withoutSign) >= infinity),
    allZero: largest === 0,
  };
}

/** A block is a half-precision scale and 32 signed bytes; only the scale can be NaN or infinite. */
function inspectQ8(bytes: Buffer): Finding {
  let allZero = true;
  for (let block = 0; block < bytes.length; block += 34) {
    const scale = bytes.readUInt16LE(block) & 0x7fff;
    if (scale >= 0x7c00) return { notFinite: (block / 34) * 32, allZero: false };
    allZero &&= scale === 0 || bytes.subarray(block + 2, block + 34).every((quant) => quant === 0);
  }
  return { notFinite: -1, allZero };
}

function notFinite(adapter: AdapterFile, tensor: TensorDescriptor, element: number): Problem {
  return {
    code: "ADAPTER_NOT_FINITE",
    message: `${adapter.path}: Expected finite numbers in tensor \`${tensor.name}\` but element ${element} is NaN or infinite; the training diverged or the file is damaged.`,
    details: { path: adapter.path, tensor: tensor.name, element },
  };
}
