import type { TensorDescriptor } from "./gguf-file.js";

/** A tensor to write: its descriptor says what it is to be, its `path` and `offset` where the bytes that it is made of begin. */
export interface TensorToWrite extends TensorDescriptor {
  /** Absent: its bytes are copied. */
  readonly rewriting?: Rewriting;
}

/** How a tensor's bytes are made of those of the source, on their way, so that no more than a few parts are in memory. */
export interface Rewriting {
  readonly sourceBytes: number;
  /** Equal parts that the tensor consists of, here and there, each made of its counterpart alone. */
  readonly parts: number;
  /** @returns the bytes made of those of one or more neighbouring parts */
  readonly rewrite: (parts: Buffer) => Buffer;
}

/** Has `rewrite` done after what is done to the tensor already, whose parts must not reach over the border of these. */
export function rewritten(tensor: TensorToWrite, parts: number, rewrite: Rewriting["rewrite"]): TensorToWrite {
  const before = tensor.rewriting;
  return {
    ...tensor,
    rewriting: {
      sourceBytes: before?.sourceBytes ?? tensor.bytes,
      parts,
      rewrite: before === undefined ? rewrite : (bytes) => rewrite(before.rewrite(bytes)),
    },
  };
}
