import type { GgufFile, TensorDescriptor } from "../gguf/gguf-file.js";
import { countAt } from "../gguf/typed-values.js";

/** How much of a file is stored in one type. */
export interface TypeShare {
  readonly type: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

// llama.cpp's enum llama_ftype; the gaps are types that it has removed.
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4_MOE",
  39: "NVFP4",
  40: "Q1_0",
  41: "Q2_0",
};

/** Every type that occurs, most parameters first; equal ones by name. */
export function typeShares(tensors: readonly TensorDescriptor[]): TypeShare[] {
  const shares = new Map<string, TypeShare>();
  for (const { type, elements, bytes } of tensors) {
    const so = shares.get(type.name) ?? { type: type.name, tensors: 0, parameters: 0, bytes: 0 };
    shares.set(type.name, {
      type: type.name,
      tensors: so.tensors + 1,
      parameters: so.parameters + elements,
      bytes: so.bytes + bytes,
    });
  }
  return [...shares.values()].sort(
    (first, second) => second.parameters - first.parameters || (first.type < second.type ? -1 : 1),
  );
}

/** The type of most weights inside the layers (embeddings are often stored in a finer one), and what the file says. */
export function quantizationOf(
  file: GgufFile,
  tensors: readonly TensorDescriptor[],
): { quantization: string; fileType: string | null } {
  const inLayers = tensors.filter(({ name }) => name.startsWith("blk."));
  const [most] = typeShares(inLayers.length > 0 ? inLayers : tensors);
  const fileType = countAt(file, "general.file_type");
  return { quantization: most?.type ?? "unknown", fileType: FILE_TYPES[fileType ?? -1] ?? null };
}
