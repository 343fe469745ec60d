import { readExactly } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { openForReading } from "../gguf/read-gguf.js";
import { TENSOR_TYPES, type TensorType } from "../gguf/tensor-types.js";
import { peftError } from "./peft-error.js";

/** Against a length that would fill the memory; the library of the format has the same limit. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_DIMENSIONS = 8;

/** The types of the format that a GGUF file can hold as they are, by id there. */
const TYPE_IDS: Readonly<Record<string, number>> = { F32: 0, F16: 1, BF16: 30 };

/** A tensor of the file: `shape` is the format's own, slowest dimension first: `lora_A` is [r, n_in]. */
export type SafetensorsTensor = TensorDescriptor;

export interface SafetensorsFile {
  readonly path: string;
  readonly fileBytes: number;
  /** In the order of their data. */
  readonly tensors: readonly SafetensorsTensor[];
}

/**
 * Reads the header of a safetensors file. Everything is checked: sizes, overlaps, and that the data fill the rest of the file.
 *
 * @throws InputError FILE_*; PEFT_SAFETENSORS where it is damaged or none; PEFT_DTYPE for numbers that are not F32, F16 or BF16
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openForReading(path);
  try {
    const fileBytes = (await handle.stat()).size;
    if (fileBytes < 8) throw damaged(path, `it has ${fileBytes} bytes`);
    const start = Buffer.alloc(8);
    await readExactly(handle, path, start, 0);
    const length = start.readBigUInt64LE();
    if (length > BigInt(Math.min(MAX_HEADER_BYTES, fileBytes - 8))) {
      throw damaged(path, `its header is said to have ${length} bytes of ${fileBytes} in all`);
    }
    const header = Buffer.allocUnsafe(Number(length));
    await readExactly(handle, path, header, 8);
    const dataOffset = 8 + header.length;
    const tensors = Object.entries(parseHeader(path, header))
      .filter(([name]) => name !== "__metadata__")
      .map(([name, entry]) => tensorOf(path, name, entry, dataOffset))
      .sort((first, second) => first.offset - second.offset);
    let end = dataOffset;
    for (const tensor of tensors) {
      if (tensor.offset !== end)
        throw damaged(path, `the data of \`${tensor.name}\` start at ${tensor.offset}, not at ${end}`);
      end += tensor.bytes;
    }
    if (end !== fileBytes) throw damaged(path, `its data end at ${end} and the file at ${fileBytes}`);
    return { path, fileBytes, tensors };
  } finally {
    await handle.close();
  }
}

/** @returns the header of a file with these tensors in this order, their data behind it without gaps */
export function encodeSafetensorsHeader(
  tensors: readonly Pick<SafetensorsTensor, "name" | "type" | "shape" | "bytes">[],
): Buffer {
  let end = 0;
  const entries = tensors.map(({ name, type, shape, bytes }) => {
    const offsets = [end, end + bytes];
    end += bytes;
    return [name, { dtype: type.name, shape, data_offsets: offsets }] as const;
  });
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  // Data start at a multiple of 8; the format allows spaces behind the text.
  const json = Buffer.from(text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

function parseHeader(path: string, header: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(header.toString("utf8"));
  } catch (cause) {
    throw damaged(path, "its header is no JSON", cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw damaged(path, "its header is no object");
}

function tensorOf(path: string, name: string, entry: unknown, dataOffset: number): SafetensorsTensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (!areSizes(shape) || shape.length > MAX_DIMENSIONS || !areSizes(offsets) || offsets.length !== 2) {
    throw damaged(path, `shape or offsets of \`${name}\` are no lists of sizes`);
  }
  const type = typeOf(path, name, dtype);
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = elements * type.blockBytes;
  const [start = 0, end = 0] = offsets;
  if (!Number.isSafeInteger(bytes) || end - start !== bytes) {
    throw damaged(path, `\`${name}\` of shape [${shape.join(", ")}] has ${end - start} bytes in place of ${bytes}`);
  }
  return { name, type, shape, elements, bytes, path, offset: dataOffset + start };
}

function typeOf(path: string, name: string, dtype: unknown): TensorType {
  const type = typeof dtype === "string" ? TENSOR_TYPES.get(TYPE_IDS[dtype] ?? -1) : undefined;
  if (type !== undefined) return type;
  throw peftError(
    "DTYPE",
    path,
    `Expected F32, F16 or BF16 for \`${name}\` but received ${String(dtype)}; save the adapter in one of these.`,
    {
      tensor: name,
    },
  );
}

function areSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && Number(size) >= 0);
}

function damaged(path: string, why: string, cause?: unknown) {
  return peftError(
    "SAFETENSORS",
    path,
    `Expected a sound safetensors file but ${why}; copy or download it again.`,
    {},
    cause,
  );
}
