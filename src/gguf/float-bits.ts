/** The two 16-bit floats of the format: bits of the mantissa, and the exponent of the smallest normal number. */
const FORMATS = {
  F16: { mantissa: 10, smallest: -14, infinity: 0x7c00 },
  BF16: { mantissa: 7, smallest: -126, infinity: 0x7f80 },
} as const;
export type SmallFloat = keyof typeof FORMATS;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** @returns the number that 16 bits stand for, exactly */
export function decodeSmallFloat(bits: number, format: SmallFloat): number {
  const { mantissa, smallest, infinity } = FORMATS[format];
  const magnitude = bits & 0x7fff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (magnitude >= infinity) return magnitude === infinity ? sign * Infinity : NaN;
  const exponent = magnitude >> mantissa;
  const fraction = magnitude & ((1 << mantissa) - 1);
  // Below the smallest normal number the leading bit is 0, and the exponent stays.
  const significand = exponent === 0 ? fraction : fraction + (1 << mantissa);
  return sign * significand * 2 ** (smallest + Math.max(exponent - 1, 0) - mantissa);
}

/** @returns the nearest 16 bits, ties to even, in one rounding from the double; infinity where the number is too large */
export function encodeSmallFloat(value: number, format: SmallFloat): number {
  const { mantissa, smallest, infinity } = FORMATS[format];
  double[0] = value;
  const high = words[1] ?? 0;
  const sign = (high >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | infinity | (1 << (mantissa - 1));
  const exponent = Math.max(((high >>> 20) & 0x7ff) - 1023, smallest);
  if (exponent > 1 - smallest) return sign | infinity;
  // Exact: a power of two. The leading bit of a normal number carries into the exponent by itself.
  const significand = toEven(Math.abs(value) * 2 ** (mantissa - exponent));
  return sign | Math.min((exponent - smallest) * 2 ** mantissa + significand, infinity);
}

function toEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
