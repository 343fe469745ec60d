import { UsageError } from "../errors.js";
import { decodeTensor } from "../gguf/decode-tensor.js";
import { decodeSmallFloat, encodeSmallFloat, type SmallFloat } from "../gguf/float-bits.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { TENSOR_TYPES, type TensorType } from "../gguf/tensor-types.js";
import { rewritten, type TensorToWrite } from "../gguf/tensor-to-write.js";

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
 * The tensor that a change makes of this one. F32, F16 and BF16 keep their type, each product rounded once to the nearest; Q8_0 becomes F16
 * where it is multiplied.
 *
 * @throws UsageError SELECTION_TENSOR_TYPE where a type cannot be multiplied or padded so; when it is written SELECTION_SCALE where a
 *   product is too large
 */
export function changedTensor(tensor: TensorDescriptor, { factor, pad, asFloat = false }: TensorChange): TensorToWrite {
  const multiplied = factor === 1 && !asFloat ? tensor : multipliedTensor(tensor, factor);
  return pad === null ? multiplied : paddedTensor(multiplied, pad);
}

function paddedTensor(tensor: TensorToWrite, { axis, size }: NonNullable<TensorChange["pad"]>): TensorToWrite {
  const shape = tensor.shape.map((old, at) => (at === axis ? size : old));
  // What is padded by itself: a row, or a matrix of rows.
  const parts = tensor.shape.slice(axis + 1).reduce((product, count) => product * count, 1);
  const elements = shape.slice(0, axis + 1).reduce((product, count) => product * count, 1);
  const [from, to] = [tensor.bytes / parts, bytesOf(elements, tensor)];
  const pad = (bytes: Buffer) => {
    const count = bytes.length / from;
    // All zero bytes are zeros in every type that can hold weights.
    const result = Buffer.alloc(count * to);
    for (let part = 0; part < count; part++) bytes.copy(result, part * to, part * from, (part + 1) * from);
    return result;
  };
  return { ...rewritten(tensor, parts, pad), shape, elements: parts * elements, bytes: parts * to };
}

/** Of a part of a tensor that begins and ends with a row. */
function bytesOf(elements: number, tensor: TensorDescriptor): number {
  const { blockElements, blockBytes, name } = tensor.type;
  if (elements % blockElements === 0) return (elements / blockElements) * blockBytes;
  throw selectionError(
    "TENSOR_TYPE",
    `Expected a rank that is a multiple of ${blockElements} for \`${tensor.name}\` of type ${name} but received ${elements}; pad to such a rank.`,
    tensor,
  );
}

/** The type that a tensor has once it is multiplied. */
export function multipliedType({ type }: TensorDescriptor): TensorType {
  return type.name === "Q8_0" ? (TENSOR_TYPES.get(1) ?? type) : type;
}

/** Largest relative error of rounding a product to this type: half a unit in the last place. */
export function roundingOf(type: TensorType): number {
  return { F32: 2 ** -24, BF16: 2 ** -8 }[type.name] ?? 2 ** -11;
}

function multipliedTensor(tensor: TensorDescriptor, factor: number): TensorToWrite {
  // Refused before anything is written.
  numbersOf(tensor, Buffer.alloc(0));
  const type = multipliedType(tensor);
  const write = type.name === "F32" ? writeF32 : writeSmall(type.name as SmallFloat);
  const multiply = (bytes: Buffer) => {
    const values = numbersOf(tensor, bytes);
    const result = Buffer.allocUnsafe(values.length * type.blockBytes);
    for (const [index, value] of values.entries()) {
      const isFinite = write(result, value * factor, index);
      if (!isFinite && Number.isFinite(value)) throw tooLarge(tensor, factor);
    }
    return result;
  };
  const blocks = tensor.bytes / tensor.type.blockBytes;
  return { ...rewritten(tensor, blocks, multiply), type, bytes: tensor.elements * type.blockBytes };
}

function numbersOf(tensor: TensorDescriptor, bytes: Buffer): Float64Array {
  const values = decodeTensor(tensor.type, bytes);
  if (values !== null) return values;
  throw selectionError(
    "TENSOR_TYPE",
    `Expected F32, F16, BF16 or Q8_0 for \`${tensor.name}\`, whose strength differs from that of other pairs, but received ${tensor.type.name}; convert the adapter to F16 first, or give all kept layers one strength.`,
    tensor,
  );
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
