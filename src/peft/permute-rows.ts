/**
 * llama.cpp turns neighbouring pairs of a head's numbers (its rotary embedding), transformers turns number i with number i + d/2. So the
 * converter reorders the rows of q and k within each head: row (h, i, j) of the result is row (h, j, i) of the source, with i below d/2
 * and j below 2.
 *
 * @param bytes a tensor [n_out, r], row by row
 * @param rows n_out, a multiple of 2 x `heads`
 * @param back from llama.cpp's order to that of transformers
 */
export function permuteRows(bytes: Buffer, rows: number, heads: number, back = false): Buffer {
  const rowBytes = bytes.length / rows;
  const [perHead, half] = [rows / heads, rows / heads / 2];
  const result = Buffer.allocUnsafe(bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / perHead), row % perHead];
    const split = head * perHead + (within % 2) * half + Math.floor(within / 2);
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
