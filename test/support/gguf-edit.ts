import { readFile } from "node:fs/promises";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { VALUE_TYPES } from "../../src/gguf/metadata.js";
import { TYPES, type Contents, type Tensor, type TypeName } from "./gguf-files.js";

/** A real file taken apart, to be changed and put together again by the test's own writer. */
export async function contentsOf(path: string): Promise<Contents> {
  const [file, bytes] = [await readGguf(path), await readFile(path)];
  return {
    version: file.version,
    metadata: [...file.metadata].map(([key, it]) => [key, { type: VALUE_TYPES.indexOf(it.type), bytes: it.bytes }]),
    tensors: file.tensors.map((tensor) => {
      if (!(tensor.type.name in TYPES)) throw new Error(`The tests' writer does not know ${tensor.type.name}`);
      return {
        name: tensor.name,
        shape: tensor.shape,
        type: tensor.type.name as TypeName,
        data: bytes.subarray(tensor.offset, tensor.offset + tensor.bytes),
      };
    }),
  };
}

/** The contents with every tensor passed through `change`; null leaves it out. */
export function withTensors(contents: Contents, change: (tensor: Tensor, name: string) => Tensor | null): Contents {
  return { ...contents, tensors: contents.tensors.flatMap((tensor) => change(tensor, String(tensor.name)) ?? []) };
}

/** The layer in a tensor's name, -1 without one. */
export const layerOf = (name: string) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);

/** The adapter with the products of the given layers set to zero: they are there and change nothing. */
export function withZeroB(contents: Contents, isZero: (layer: number) => boolean): Contents {
  return withTensors(contents, (tensor, name) =>
    name.endsWith(".lora_b") && isZero(layerOf(name)) ? { ...tensor, data: Buffer.alloc(tensor.data.length) } : tensor,
  );
}
