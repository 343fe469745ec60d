import { UsageError } from "../errors.js";
import { decodeTensor } from "../gguf/decode-tensor.js";
import { decodeSmallFloat, encodeSmallFloat, type SmallFloat } from "../gguf/float-bits.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { TENSOR_TYPES, type TensorType } from "../gguf/tensor-types.js";
import { sizeAt } from "./lora-pair.js";

/** What is done to a tensor of a pair before it is written. */
export interface TensorChange {
  /** Multiplied into every element; 1 leaves their bytes alone. */
  readonly factor: number;
  /** Zeros are added along this axis up to this size; null adds none. */
  readonly pad: { readonly axis: 0 | 1; readonly size: number } | null;
  /** Q8_0 becomes F16 even at factor 1. Default false. */
  readonly asFloat?: boolean;
}

/**
 * Carries a change out. F32, F16 and BF16 keep their type, each product rounded once to the nearest; Q8_0 becomes F16 where it is
 * multiplied.
 *
 * @param bytes all of the tensor
 * @throws UsageError SELECTION_TENSOR_TYPE where a type cannot be multiplied or padded so, SELECTION_SCALE where a product is too large
 */
export function changeTensor(
  tensor: TensorDescriptor,
  bytes: Buffer,
  { factor, pad, asFloat = false }: TensorChange,
): { readonly type: TensorType; readonly shape: readonly number[]; readonly bytes: Buffer } {
  const scaled = factor === 1 && !asFloat ? { type: tensor.type, bytes } : multiply(tensor, bytes, factor);
  if (pad === null) return { ...scaled, shape: tensor.shape };
  const { blockElements, blockBytes } = scaled.type;
  const [rowElements, rows] = [sizeAt(tensor, 0), sizeAt(tensor, 1)];
  const bytesOf = (elements: number) => {
    if (elements % blockElements === 0) return (elements / blockElements) * blockBytes;
    throw selectionError(
      "TENSOR_TYPE",
      `Expected a rank that is a multiple of ${blockElements} for \`${tensor.name}\` of type ${scaled.type.name} but received ${elements}; pad to such a rank.`,
      tensor,
    );
  };
  const [piece, padded] =
    pad.axis === 0
      ? [bytesOf(rowElements), bytesOf(pad.size)]
      : [bytesOf(rowElements) * rows, bytesOf(rowElements) * pad.size];
  // All zero bytes are zeros in every type that can hold weights.
  const result = Buffer.alloc((scaled.bytes.length / piece) * padded);
  for (let at = 0, to = 0; at < scaled.bytes.length; at += piece, to += padded) {
    scaled.bytes.copy(result, to, at, at + piece);
  }
  return {
    type: scaled.type,
    bytes: result,
    shape: tensor.shape.map((size, axis) => (axis === pad.axis ? pad.size : size)),
  };
}

/** The type that a tensor has once it is multiplied. */
export function multipliedType({ type }: TensorDescriptor): TensorType {
  return type.name === "Q8_0" ? (TENSOR_TYPES.get(1) ?? type) : type;
}

/** Largest relative error of rounding a product to this type: half a unit in the last place. */
export function roundingOf(type: TensorType): number {
  return { F32: 2 ** -24, BF16: 2 ** -8 }[type.name] ?? 2 ** -11;
}

function multiply(tensor: TensorDescriptor, bytes: Buffer, factor: number): { type: TensorType; bytes: Buffer } {
  const values = decodeTensor(tensor.type, bytes);
  if (values === null) {
    throw selectionError(
      "TENSOR_TYPE",
      `Expected F32, F16, BF16 or Q8_0 for \`${tensor.name}\`, whose strength differs from that of other pairs, but received ${tensor.type.name}; convert the adapter to F16 first, or give all kept layers one strength.`,
      tensor,
    );
  }
  const type = multipliedType(tensor);
  const result = Buffer.allocUnsafe(values.length * type.blockBytes);
  const write = type.name === "F32" ? writeF32 : writeSmall(type.name as SmallFloat);
  for (const [index, value] of values.entries()) {
    const isFinite = write(result, value * factor, index);
    if (!isFinite && Number.isFinite(value)) throw tooLarge(tensor, factor);
  }
  return { type, bytes: result };
}

/** Each writes the nearest number that there is and says whether it is finite. */
function writeF32(target: Buffer, value: number, index: number): boolean {
  const rounded = Math.fround(value);
  target.writeFloatLE(rounded, 4 * index);
  return Number.isFinite(rounded);
}

function writeSmall(format: SmallFloat): typeof writeF32 {
  return (target, value, index) => {
    const bits = encodeSmallFloat(value, format);
    target.writeUInt16LE(bits, 2 * index);
    return Number.isFinite(decodeSmallFloat(bits, format));
  };
}

function tooLarge(tensor: TensorDescriptor, factor: number): UsageError {
  return selectionError(
    "SCALE",
    `A number of \`${tensor.name}\` times ${factor} is out of range for ${multipliedType(tensor).name}; give a smaller strength.`,
    tensor,
  );
}

function selectionError(code: string, message: string, { name }: TensorDescriptor): UsageError {
  return new UsageError(`SELECTION_${code}`, message, { details: { option: "selection", tensor: name } });
}
