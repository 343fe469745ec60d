import type { FileHandle } from "node:fs/promises";
import { decodeTensor } from "../gguf/decode-tensor.js";
import { readExactly } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { openForReading } from "../gguf/read-gguf.js";
import type { AdapterFile } from "./adapter-file.js";
import { formatLayerScales } from "./format-layer-scales.js";
import { isEmbedding, partOf, type LoraPair } from "./lora-pair.js";

/** How one adapter is made from another. */
export interface RelativeStrengths {
  /** The strengths as the grammar writes them, rounded to the digits that the types can hold, 6 at most; null where no vector of strengths makes the one from the other. */
  readonly text: string | null;
  /** Pairs of both whose weights are not a multiple of each other, or of types that are not looked into. */
  readonly otherWeights: readonly string[];
  /** Pairs that only the second adapter has. */
  readonly added: readonly string[];
}

/** Significant digits that a multiple can be known to where the numbers themselves were rounded to such a type. */
const DIGITS: Readonly<Record<string, number>> = { F32: 6, F16: 4 };
const FEWEST_DIGITS = 3;
const MOST_DIGITS = 6;

/** A number, and how many digits of it are known. */
interface Known {
  readonly value: number;
  readonly digits: number;
}
const ONE: Known = { value: 1, digits: MOST_DIGITS };

/** Largest difference from an exact multiple that passes as rounding, over the tensor's largest number; half a step of BF16 is 2^-9. */
const TOLERANCE = 2 ** -8;

/**
 * The strength of each layer of `second` in terms of `first`: 0 where its pairs are left out, alpha / rank and multiplied tensors
 * counted together, zeros of padded ranks read over.
 *
 * @throws InputError where a file cannot be read
 */
export async function relativeStrengths(first: AdapterFile, second: AdapterFile): Promise<RelativeStrengths> {
  const there = new Map(second.pairs.map((pair) => [pair.name, pair]));
  const here = new Set(first.pairs.map(({ name }) => name));
  const added = second.pairs.map(({ name }) => name).filter((name) => !here.has(name));
  const otherWeights: string[] = [];
  const strengths = new Map<string, Set<number>>();
  const handles = [await openForReading(first.path), await openForReading(second.path)] as const;
  try {
    for (const pair of first.pairs) {
      const other = there.get(pair.name);
      const strength = other === undefined ? { value: 0, digits: 1 } : await multipleOfPair(pair, other, handles);
      if (strength === null) {
        otherWeights.push(pair.name);
        continue;
      }
      const alphas = other === undefined ? 1 : second.alpha / other.rank / (first.alpha / pair.rank);
      const key = pair.layer === null ? pair.place : `${partOf(pair.module)} ${pair.layer}`;
      const rounded = Number((strength.value * alphas).toPrecision(strength.digits));
      strengths.set(key, (strengths.get(key) ?? new Set()).add(rounded));
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
  const clear = otherWeights.length === 0 && added.length === 0;
  return { text: clear ? vectorText(first, strengths) : null, otherWeights, added };
}

/** Null where the pairs of a place do not share one strength. */
function vectorText({ layers }: AdapterFile, strengths: ReadonlyMap<string, ReadonlySet<number>>): string | null {
  if ([...strengths.values()].some(({ size }) => size > 1)) return null;
  const of = (key: string) => strengths.get(key)?.values().next().value;
  const length = (layers.at(-1) ?? -1) + 1;
  // What a layer has no pairs for goes with what it has, and a layer without pairs with the one below it.
  const attention: number[] = [];
  const ffn: number[] = [];
  for (let layer = 0; layer < length; layer++) {
    attention.push(of(`attention ${layer}`) ?? of(`ffn ${layer}`) ?? attention.at(-1) ?? 1);
    ffn.push(of(`ffn ${layer}`) ?? of(`attention ${layer}`) ?? ffn.at(-1) ?? 1);
  }
  return formatLayerScales({
    layerScales: attention,
    feedForwardScales: ffn,
    inputScale: of("input") ?? ((attention[0] ?? of("output") ?? 1) || (ffn[0] ?? 1)),
    outputScale: of("output") ?? ((ffn.at(-1) ?? of("input") ?? 1) || (attention.at(-1) ?? 1)),
  });
}

async function multipleOfPair(
  first: LoraPair,
  second: LoraPair,
  handles: readonly [FileHandle, FileHandle],
): Promise<Known | null> {
  const axisOfA = isEmbedding(first.name) ? 0 : 1;
  const a = await multipleOf(first.a, second.a, axisOfA, handles);
  const b = await multipleOf(first.b, second.b, 0, handles);
  return a === null || b === null ? null : { value: a.value * b.value, digits: Math.min(a.digits, b.digits) };
}

/** The number that makes the second tensor from the first; null where there is none. */
async function multipleOf(
  first: TensorDescriptor,
  second: TensorDescriptor,
  rankAxis: 0 | 1,
  handles: readonly [FileHandle, FileHandle],
): Promise<Known | null> {
  const rank = Math.max(first.shape[rankAxis] ?? 1, second.shape[rankAxis] ?? 1);
  const here = await paddedValues(first, rankAxis, rank, handles[0]);
  const there = await paddedValues(second, rankAxis, rank, handles[1]);
  if (here?.length !== there?.length || here === null || there === null) return null;
  let [product, square, largest] = [0, 0, 0];
  for (const [index, value] of here.entries()) {
    product += value * (there[index] ?? 0);
    square += value * value;
    largest = Math.max(largest, Math.abs(value), Math.abs(there[index] ?? 0));
  }
  if (square === 0) return there.every((value) => value === 0) ? ONE : null;
  const multiple = product / square;
  const digits =
    multiple === 1 ? MOST_DIGITS : Math.min(...[first, second].map(({ type }) => DIGITS[type.name] ?? FEWEST_DIGITS));
  const room = TOLERANCE * Math.max(largest * Math.abs(multiple), Number.MIN_VALUE);
  const fits = here.every((value, index) => Math.abs(value * multiple - (there[index] ?? 0)) <= room);
  return fits ? { value: multiple, digits } : null;
}

async function paddedValues(
  tensor: TensorDescriptor,
  rankAxis: 0 | 1,
  rank: number,
  handle: FileHandle,
): Promise<Float64Array | null> {
  const bytes = Buffer.allocUnsafe(tensor.bytes);
  await readExactly(handle, tensor.path, bytes, tensor.offset);
  const values = decodeTensor(tensor.type, bytes);
  const own = tensor.shape[rankAxis] ?? 1;
  if (values === null || own === rank) return values;
  const inner = rankAxis === 0 ? 1 : (tensor.shape[0] ?? 1);
  const [piece, room] = [own * inner, rank * inner];
  const result = new Float64Array((values.length / piece) * room);
  for (let at = 0, to = 0; at < values.length; at += piece, to += room) {
    result.set(values.subarray(at, at + piece), to);
  }
  return result;
}
