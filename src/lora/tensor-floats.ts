import type { FileHandle } from "node:fs/promises";
import { readExactly } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";

type Decoder = (bytes: Buffer, elements: number) => Float32Array;

const DECODERS: Readonly<Record<string, Decoder>> = {
  F32: (bytes, elements) => new Float32Array(bytes.buffer, bytes.byteOffset, elements),
  F16: (bytes, elements) => fromHalves(new Uint16Array(bytes.buffer, bytes.byteOffset, elements)),
  BF16: (bytes, elements) => {
    const bits = Uint32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, elements), (half) => half << 16);
    return new Float32Array(bits.buffer);
  },
  Q8_0: fromQ8,
};

/**
 * All elements of one tensor of an open file, in file order.
 *
 * @returns null for types that are not decoded here: all but F32, F16, BF16 and Q8_0
 * @throws InputError FILE_SHRANK, FILE_UNREADABLE
 */
export async function readFloats(handle: FileHandle, tensor: TensorDescriptor): Promise<Float32Array | null> {
  const decode = DECODERS[tensor.type.name];
  if (decode === undefined) return null;
  const bytes = Buffer.from(new ArrayBuffer(tensor.bytes));
  await readExactly(handle, tensor.path, bytes, tensor.offset);
  return decode(bytes, tensor.elements);
}

/** IEEE 754 half precision. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function fromHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, halfToFloat);
}

/** Blocks of a half-precision scale and 32 signed bytes. */
function fromQ8(bytes: Buffer, elements: number): Float32Array {
  const floats = new Float32Array(elements);
  for (let block = 0; block * 32 < elements; block++) {
    const scale = halfToFloat(bytes.readUInt16LE(block * 34));
    for (let i = 0; i < 32; i++) floats[block * 32 + i] = scale * bytes.readInt8(block * 34 + 2 + i);
  }
  return floats;
}
