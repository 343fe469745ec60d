import { rewritten, type TensorToWrite } from "../gguf/tensor-to-write.js";
import { peftError } from "./peft-error.js";

/**
 * B of q or k in llama.cpp's order of rows, reordered head by head on its way.
 *
 * @param tensor of `rows` rows in the order of transformers
 * @param back from llama.cpp's order to that of transformers
 * @throws InputError PEFT_SHAPE where there are not as many rows for each head, an even number
 */
export function permuted(tensor: TensorToWrite, rows: number, heads: number, back = false): TensorToWrite {
  if (rows % (2 * heads) !== 0) {
    throw peftError(
      "SHAPE",
      tensor.path,
      `Expected rows in multiples of ${2 * heads} for \`${tensor.name}\` of a base model with ${heads} heads but received ${rows}.`,
    );
  }
  return rewritten(tensor, heads, (bytes) => permuteRows(bytes, rows / heads, tensor.bytes / rows, back));
}

/**
 * llama.cpp turns neighbouring pairs of a head's numbers (its rotary embedding), transformers turns number i with number i + d/2. So the
 * converter reorders the rows of q and k within each head: row (h, i, j) of the result is row (h, j, i) of the source, with i below d/2
 * and j below 2.
 *
 * @param bytes whole heads, row by row
 * @param headRows d, the rows of one head; even
 */
function permuteRows(bytes: Buffer, headRows: number, rowBytes: number, back: boolean): Buffer {
  const result = Buffer.allocUnsafe(bytes.length);
  const half = headRows / 2;
  for (let row = 0; row * rowBytes < bytes.length; row++) {
    const within = row % headRows;
    const split = row - within + (within % 2) * half + (within >> 1);
    const [from, to] = back ? [row, split] : [split, row];
    bytes.copy(result, to * rowBytes, from * rowBytes, (from + 1) * rowBytes);
  }
  return result;
}

/** @returns a matrix [rows, columns], row by row, as [columns, rows] */
export function transpose(bytes: Buffer, rows: number, elementBytes: number): Buffer {
  const columns = bytes.length / rows / elementBytes;
  const result = Buffer.allocUnsafe(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * elementBytes;
      bytes.copy(result, (column * rows + row) * elementBytes, from, from + elementBytes);
    }
  }
  return result;
}
