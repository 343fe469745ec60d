/** Elements of a tensor's bytes as numbers, little-endian as in the file. */
type Reader = (bytes: Buffer) => Float64Array;

/** Elements of one block of a quantised type, written to `out` from `at` on. */
type BlockReader = (bytes: Buffer, start: number, out: Float64Array, at: number) => void;

const READERS: Readonly<Record<string, Reader>> = {
  F32: (bytes) => Float64Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(4 * index)),
  F16: (bytes) =>
    Float64Array.from({ length: bytes.length / 2 }, (_, index) => fromHalf(bytes.readUInt16LE(2 * index))),
  BF16: (bytes) =>
    Float64Array.from({ length: bytes.length / 2 }, (_, index) => fromBfloat16(bytes.readUInt16LE(2 * index))),
  Q8_0: blocks(34, (bytes, start, out, at) => {
    const scale = fromHalf(bytes.readUInt16LE(start));
    for (let index = 0; index < 32; index++) out[at + index] = scale * bytes.readInt8(start + 2 + index);
  }),
  // Low nibbles are the first half of a block, high nibbles the second (ggml-common.h).
  Q4_0: blocks(18, (bytes, start, out, at) => {
    const scale = fromHalf(bytes.readUInt16LE(start));
    nibbles(bytes, start + 2, (index, nibble) => (out[at + index] = scale * (nibble - 8)));
  }),
  Q4_1: blocks(20, (bytes, start, out, at) => {
    const scale = fromHalf(bytes.readUInt16LE(start));
    const least = fromHalf(bytes.readUInt16LE(start + 2));
    nibbles(bytes, start + 4, (index, nibble) => (out[at + index] = scale * nibble + least));
  }),
  Q5_0: blocks(22, (bytes, start, out, at) => {
    const scale = fromHalf(bytes.readUInt16LE(start));
    const fifth = bytes.readUInt32LE(start + 2);
    nibbles(bytes, start + 6, (index, nibble) => {
      out[at + index] = scale * (nibble + 16 * ((fifth >>> index) & 1) - 16);
    });
  }),
  Q5_1: blocks(24, (bytes, start, out, at) => {
    const scale = fromHalf(bytes.readUInt16LE(start));
    const least = fromHalf(bytes.readUInt16LE(start + 2));
    const fifth = bytes.readUInt32LE(start + 4);
    nibbles(bytes, start + 8, (index, nibble) => {
      out[at + index] = scale * (nibble + 16 * ((fifth >>> index) & 1)) + least;
    });
  }),
};

/** How to read the elements of a type; null for the types that adapters are not quantised to. */
export function dequantize(type: string): Reader | null {
  return READERS[type] ?? null;
}

function blocks(blockBytes: number, read: BlockReader): Reader {
  return (bytes) => {
    const out = new Float64Array((bytes.length / blockBytes) * 32);
    for (let block = 0; block * blockBytes < bytes.length; block++) read(bytes, block * blockBytes, out, block * 32);
    return out;
  };
}

function nibbles(bytes: Buffer, start: number, each: (index: number, nibble: number) => void): void {
  for (let index = 0; index < 16; index++) {
    const byte = bytes.readUInt8(start + index);
    each(index, byte & 15);
    each(index + 16, byte >>> 4);
  }
}

/** IEEE 754 binary16. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** To nearest, ties to even; beyond 65504 infinite. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(magnitude)) return 0x7e00;
  // 65520 is the tie between the largest half and what would be 2^16.
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -14)));
  const step = 2 ** (exponent - 10);
  const steps = roundedToEven(magnitude / step);
  // A rounding up to 2048 steps carries into the exponent by itself; below 1024 it is subnormal, with exponent bits 0.
  return sign | ((exponent + 14) * 1024 + steps);
}

function fromBfloat16(bits: number): number {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(bits * 65536);
  return buffer.readFloatLE();
}

/** To nearest, ties to even. */
export function toBfloat16(value: number): number {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(Math.fround(value));
  const bits = buffer.readUInt32LE();
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundedToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
