import { seededRandom } from "./resample.js";
import { studentCriticalValue } from "./student.js";

/**
 * Fewest independent units from which anything is claimed. Below it a bootstrap has at most 64 distinct draws, and
 * a single odd sample decides every sign.
 */
export const FEWEST_UNITS = 8;

/** Draws of the bootstrap where nobody asks for another number; (draws + 1) x 0.95 is whole (Davison & Hinkley 1997, 4.2.5). */
export const DEFAULT_DRAWS = 3999;

export interface BootstrapOptions {
  /** Of all two-sided intervals together, in (0, 1). */
  readonly confidence: number;
  readonly seed: number;
  /** Default 3999; where all sign patterns are fewer, all of them are taken instead. */
  readonly draws?: number;
  /** Per contrast, the units it is studentised by, at most G; default: G for all. */
  readonly counts?: readonly number[];
  /** Every contrast with values in all units also counts with `share` x these residuals [G] added, at hardly any cost. */
  readonly tilt?: { readonly residuals: Float64Array; readonly share: number };
}

/**
 * The half-width, in standard errors, that makes the intervals of all `contrasts` hold at once: the quantile of the
 * largest studentised deviation over all of them (max-t: Romano & Wolf 2005; with multipliers, Chernozhukov,
 * Chetverikov & Kato 2013).
 *
 * Multipliers are Rademacher (+1 or -1, one per unit): with few units they are more accurate than Mammen's or
 * Gaussian ones, also for skewed data (Davidson & Flachaire 2008; with clusters, Cameron, Gelbach & Miller 2008), and
 * since they leave every square as it is, each draw can be studentised by its own standard error at no cost:
 * with S the draw's sum and Q the sum of squares, t^2 = (G - 1) r / (G - r) where r = S^2 / Q. That keeps the
 * heavier tails of Student's t, which multipliers without it lose.
 *
 * With fewer than `FEWEST_UNITS` units, Student's t with Bonferroni's correction: bounds to look at, not to claim from.
 *
 * A contrast known on some of the units only has residuals 0 in the others: its draws then understate how it moves with the
 * rest, which only raises the value, and are studentised by its own count.
 *
 * @param contrasts unit residuals of each contrast (`UnitMean.residuals`), each of length G; flat ones left out
 * @param units G; at least 2
 * @returns in standard errors; infinite where `draws` are too few for the confidence
 */
export function maxTCriticalValue(
  contrasts: readonly Float64Array[],
  units: number,
  { confidence, seed, draws = DEFAULT_DRAWS, counts, tilt }: BootstrapOptions,
): number {
  if (units < FEWEST_UNITS) {
    return studentCriticalValue(1 - (1 - confidence) / Math.max(1, contrasts.length), units - 1);
  }
  if (contrasts.length === 0) return studentCriticalValue(confidence, units - 1);
  const signs = signPatterns(units, draws, seed);
  const largest = new Float64Array(signs.draws);
  const sums = new Float64Array(signs.draws);
  const tiltSums = new Float64Array(signs.draws);
  const tilted = new Float64Array(units);
  if (tilt !== undefined) signedSums(tilt.residuals, signs, tiltSums);
  for (const [index, residuals] of contrasts.entries()) {
    const count = counts?.[index] ?? units;
    signedSums(residuals, signs, sums);
    raise(largest, sums, sumOfSquares(residuals), count);
    if (tilt === undefined || count < units) continue;
    const { share } = tilt;
    for (let unit = 0; unit < units; unit++)
      tilted[unit] = (residuals[unit] ?? 0) + share * (tilt.residuals[unit] ?? 0);
    const squares = sumOfSquares(tilted);
    // A tilt that undoes a contrast leaves nothing but rounding.
    if (squares < 1e-24 * sumOfSquares(residuals)) continue;
    for (let draw = 0; draw < sums.length; draw++) sums[draw] = (sums[draw] ?? 0) + share * (tiltSums[draw] ?? 0);
    raise(largest, sums, squares, count);
  }
  largest.sort();
  // The rank (1 - alpha)(B + 1), rounded up, never claims more than the confidence.
  const square = largest[Math.ceil(confidence * (signs.draws + 1) - 1e-9) - 1];
  return square === undefined ? Infinity : Math.sqrt(square);
}

/** Raises each draw's t^2 where that of these sums is larger. */
function raise(largest: Float64Array, sums: Float64Array, squares: number, count: number): void {
  for (let draw = 0; draw < sums.length; draw++) {
    const sum = sums[draw] ?? 0;
    const ratio = (sum * sum) / squares;
    // By Cauchy and Schwarz r <= G, equal only where one draw aligns every sign.
    const square = ratio >= count ? Infinity : ((count - 1) * ratio) / (count - ratio);
    if (square > (largest[draw] ?? 0)) largest[draw] = square;
  }
}

function sumOfSquares(residuals: Float64Array): number {
  let sum = 0;
  for (let unit = 0; unit < residuals.length; unit++) sum += (residuals[unit] ?? 0) ** 2;
  return sum;
}

/** One sign per unit and draw, as bits: 32 units of one draw are one word. */
interface SignPatterns {
  readonly draws: number;
  /** [ceil(units / 64) x 2, draws], bit 1 is the sign -1. */
  readonly words: readonly Uint32Array[];
}

function signPatterns(units: number, draws: number, seed: number): SignPatterns {
  // A pattern and its mirror image give the same |t|, so the last sign stays +.
  const all = 2 ** (units - 1);
  if (all <= draws) {
    return { draws: all, words: [Uint32Array.from({ length: all }, (_, pattern) => pattern), new Uint32Array(all)] };
  }
  const random = seededRandom(seed, 1);
  const words = Array.from({ length: 2 * Math.ceil(units / 64) }, () => new Uint32Array(draws));
  for (let chunk = 0; chunk < units / 8; chunk++) {
    const column = words[chunk >> 2] ?? new Uint32Array();
    for (let draw = 0; draw < draws; draw += 4) {
      const four = random.nextUint32();
      for (let part = 0; part < 4 && draw + part < draws; part++) {
        column[draw + part] = (column[draw + part] ?? 0) | (((four >>> (8 * part)) & 255) << (8 * (chunk & 3)));
      }
    }
  }
  return { draws, words };
}

/** Sums of 8 residuals each under every pattern of their signs: of 64 units at once, so that a draw's sum is read and written less often. */
const SUMS_OF_EIGHT = new Float64Array(8 * 256);

/**
 * Sum of the residuals under every sign pattern. The 256 sums that 8 units can have are computed once and looked
 * up by byte ("four Russians", Arlazarov et al. 1970): an eighth of the work of the matrix product that this is.
 */
function signedSums(residuals: Float64Array, { words }: SignPatterns, sums: Float64Array): void {
  sums.fill(0);
  const table = SUMS_OF_EIGHT;
  for (let word = 0; word < words.length; word += 2) {
    const [left, right] = words.slice(word, word + 2) as [Uint32Array, Uint32Array];
    for (let eight = 0; eight < 8; eight++) sumsOfEight(residuals, 32 * word + 8 * eight, 256 * eight);
    for (let draw = 0; draw < sums.length; draw++) {
      const a = left[draw] ?? 0;
      const b = right[draw] ?? 0;
      sums[draw] =
        (sums[draw] ?? 0) +
        ((table[a & 255] ?? 0) + (table[256 + ((a >>> 8) & 255)] ?? 0)) +
        ((table[512 + ((a >>> 16) & 255)] ?? 0) + (table[768 + (a >>> 24)] ?? 0)) +
        ((table[1024 + (b & 255)] ?? 0) + (table[1280 + ((b >>> 8) & 255)] ?? 0)) +
        ((table[1536 + ((b >>> 16) & 255)] ?? 0) + (table[1792 + (b >>> 24)] ?? 0));
    }
  }
}

/** Every signed sum of the 8 residuals from `first` on, from `start` on in the table; residuals behind the last one are 0. */
function sumsOfEight(residuals: Float64Array, first: number, start: number): void {
  const table = SUMS_OF_EIGHT;
  // A read behind the end would make every read here slow from then on.
  const there = Math.min(8, residuals.length - first);
  let plain = 0;
  for (let bit = 0; bit < there; bit++) plain += residuals[first + bit] ?? 0;
  table[start] = plain;
  for (let bit = 0; bit < 8; bit++) {
    const twice = bit < there ? 2 * (residuals[first + bit] ?? 0) : 0;
    const known = start + (1 << bit);
    for (let pattern = start; pattern < known; pattern++)
      table[known + pattern - start] = (table[pattern] ?? 0) - twice;
  }
}
