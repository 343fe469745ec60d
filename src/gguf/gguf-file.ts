import type { MetadataValue } from "./metadata.js";
import type { TensorType } from "./tensor-types.js";

/** One tensor: what it is and where its bytes lie. */
export interface TensorDescriptor {
  readonly name: string;
  readonly type: TensorType;
  /** As in the file, fastest dimension first: `lora_a` is [n_in, r]. One to four numbers. */
  readonly shape: readonly number[];
  readonly elements: number;
  /** Size of its data without padding. */
  readonly bytes: number;
  /** The file that holds the data. */
  readonly path: string;
  /** Of its first byte, from the start of that file. */
  readonly offset: number;
}

/** Header, metadata and tensor table of one GGUF file; never its tensor data. */
export interface GgufFile {
  readonly path: string;
  readonly version: 2 | 3;
  readonly fileBytes: number;
  /** Tensors start at multiples of it, from the start of the data; a power of two. */
  readonly alignment: number;
  /** Where the tensor data start. */
  readonly dataOffset: number;
  /** In file order. */
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** In file order, which is also the order of their data. */
  readonly tensors: readonly TensorDescriptor[];
}

export const MAGIC = "GGUF";
export const ALIGNMENT_KEY = "general.alignment";
export const DEFAULT_ALIGNMENT = 32;

/** `bytes` rounded up to a multiple of `alignment`. */
export function align(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
