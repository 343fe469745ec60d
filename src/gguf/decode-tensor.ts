import { decodeSmallFloat } from "./float-bits.js";
import type { TensorType } from "./tensor-types.js";

/** A block of Q8_0 is a half-precision scale and 32 signed bytes. */
const Q8 = { bytes: 34, elements: 32 };

/** @returns the elements as numbers, exactly; null for types other than F32, F16, BF16 and Q8_0 */
export function decodeTensor(type: TensorType, bytes: Buffer): Float64Array | null {
  const elements = (bytes.length / type.blockBytes) * type.blockElements;
  switch (type.name) {
    case "F32":
      return Float64Array.from({ length: elements }, (_, at) => bytes.readFloatLE(4 * at));
    case "F16":
    case "BF16": {
      const format = type.name;
      return Float64Array.from({ length: elements }, (_, at) => decodeSmallFloat(bytes.readUInt16LE(2 * at), format));
    }
    case "Q8_0":
      return Float64Array.from({ length: elements }, (_, at) => {
        const block = Math.floor(at / Q8.elements) * Q8.bytes;
        return decodeSmallFloat(bytes.readUInt16LE(block), "F16") * bytes.readInt8(block + 2 + (at % Q8.elements));
      });
    default:
      return null;
  }
}
