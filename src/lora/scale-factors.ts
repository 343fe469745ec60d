import { open, type FileHandle } from "node:fs/promises";
import { readExactly, writeExactly } from "../gguf/exact-io.js";
import { openForReading } from "../gguf/read-gguf.js";
import { TENSOR_TYPES, type TensorType } from "../gguf/tensor-types.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { dequantize, toBfloat16, toHalf } from "./tensor-values.js";

/** Types whose elements can be multiplied where they stand. */
const FLOATS: readonly string[] = ["F32", "F16", "BF16"];
const F16 = TENSOR_TYPES.get(1);

/** The type that a factor has after its elements were multiplied: its own where it holds floats, else F16. */
export function typeAfterScaling(type: TensorType): TensorType {
  return FLOATS.includes(type.name) || F16 === undefined ? type : F16;
}

/** Whether a factor of this type can be multiplied at all. */
export function canScale(type: TensorType): boolean {
  return FLOATS.includes(type.name) || dequantize(type.name) !== null;
}

/** The bytes of a tensor with every element multiplied, in the type of `typeAfterScaling`, rounded to nearest. */
export async function scaledBytes(handle: FileHandle, tensor: TensorDescriptor, scale: number): Promise<Buffer> {
  const source = Buffer.alloc(tensor.bytes);
  await readExactly(handle, tensor.path, source, tensor.offset);
  const values = dequantize(tensor.type.name)?.(source) ?? new Float64Array();
  const type = typeAfterScaling(tensor.type);
  const target = Buffer.alloc(values.length * type.blockBytes);
  for (const [index, value] of values.entries()) {
    const product = value * scale;
    if (type.name === "F32") target.writeFloatLE(Math.fround(product), 4 * index);
    else target.writeUInt16LE(type.name === "BF16" ? toBfloat16(product) : toHalf(product), 2 * index);
  }
  return target;
}

/** Largest relative error of rounding a product to this type: half a unit in the last place. */
export function roundingOf(type: TensorType): number {
  return { F32: 2 ** -24, BF16: 2 ** -8 }[type.name] ?? 2 ** -11;
}

/** A factor that has to be multiplied. */
export interface ScaledFactor {
  readonly tensor: TensorDescriptor;
  readonly scale: number;
}

/**
 * Writes multiplied factors one after another to a file of their own, from which they can be copied like any tensor.
 *
 * @returns per factor, its descriptor in that file
 */
export async function writeScaled(
  factors: readonly ScaledFactor[],
  path: string,
): Promise<ReadonlyMap<TensorDescriptor, TensorDescriptor>> {
  const scaled = new Map<TensorDescriptor, TensorDescriptor>();
  const sources = new Map<string, FileHandle>();
  const target = await open(path, "wx");
  try {
    let offset = 0;
    for (const { tensor, scale } of factors) {
      const source = sources.get(tensor.path) ?? (await openForReading(tensor.path));
      sources.set(tensor.path, source);
      const bytes = await scaledBytes(source, tensor, scale);
      await writeExactly(target, bytes, offset);
      scaled.set(tensor, { ...tensor, type: typeAfterScaling(tensor.type), bytes: bytes.length, path, offset });
      offset += bytes.length;
    }
  } finally {
    await target.close();
    for (const source of sources.values()) await source.close();
  }
  return scaled;
}
