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
  if (tilt !== undefined) signedSums(tilt.residuals, signs, tiltSums);
  for (const [index, residuals] of contrasts.entries()) {
    const count = counts?.[index] ?? units;
    signedSums(residuals, signs, sums);
    raise(largest, sums, sumOfSquares(residuals), count);
    if (tilt === undefined || count < units) continue;
    const { share } = tilt;
    const tilted = residuals.map((residual, unit) => residual + share * (tilt.residuals[unit] ?? 0));
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
  return residuals.reduce((sum, residual) => sum + residual * residual, 0);
}

/** One sign per unit and draw, as bits: 8 units of one draw are one byte. */
interface SignPatterns {
  readonly draws: number;
  /** [ceil(units / 8), draws], bit 1 is the sign -1. */
  readonly bytes: readonly Uint8Array[];
}

function signPatterns(units: number, draws: number, seed: number): SignPatterns {
  const chunks = Math.ceil(units / 8);
  // A pattern and its mirror image give the same |t|, so the last sign stays +.
  const all = 2 ** (units - 1);
  if (all <= draws) {
    const bytes = Array.from({ length: chunks }, (_, chunk) =>
      Uint8Array.from({ length: all }, (_, pattern) => (pattern >>> (8 * chunk)) & 255),
    );
    return { draws: all, bytes };
  }
  const random = seededRandom(seed, 1);
  const bytes = Array.from({ length: chunks }, () => {
    const column = new Uint8Array(draws);
    for (let draw = 0; draw < draws; draw += 4) {
      const word = random.nextUint32();
      for (let part = 0; part < 4 && draw + part < draws; part++) column[draw + part] = (word >>> (8 * part)) & 255;
    }
    return column;
  });
  return { draws, bytes };
}

/** Bytes of a draw that are looked up in one pass over the draws: sums are read and written less often. */
const AT_ONCE = 4;
/** Sums of 8 residuals each, by byte; of bytes behind the last they stay 0. */
const TABLES = [new Float64Array(256), new Float64Array(256), new Float64Array(256), new Float64Array(256)] as const;

/**
 * Sum of the residuals under every sign pattern. The 256 sums that 8 units can have are computed once and looked
 * up by byte ("four Russians", Arlazarov et al. 1970): an eighth of the work of the matrix product that this is.
 */
function signedSums(residuals: Float64Array, signs: SignPatterns, sums: Float64Array): void {
  sums.fill(0);
  const [t0, t1, t2, t3] = TABLES;
  const { bytes } = signs;
  for (let chunk = 0; chunk < bytes.length; chunk += AT_ONCE) {
    for (const [at, table] of TABLES.entries()) sumsOfEight(residuals, 8 * (chunk + at), table);
    const c0 = bytes[chunk] ?? new Uint8Array();
    const [c1 = c0, c2 = c0, c3 = c0] = bytes.slice(chunk + 1, chunk + AT_ONCE);
    for (let draw = 0; draw < c0.length; draw++) {
      sums[draw] =
        (sums[draw] ?? 0) +
        ((t0[c0[draw] ?? 0] ?? 0) + (t1[c1[draw] ?? 0] ?? 0)) +
        ((t2[c2[draw] ?? 0] ?? 0) + (t3[c3[draw] ?? 0] ?? 0));
    }
  }
}

/** Every signed sum of the 8 residuals from `first` on; residuals behind the last one are 0. */
function sumsOfEight(residuals: Float64Array, first: number, table: Float64Array): void {
  let plain = 0;
  for (let bit = 0; bit < 8; bit++) plain += residuals[first + bit] ?? 0;
  table[0] = plain;
  for (let bit = 0; bit < 8; bit++) {
    const twice = 2 * (residuals[first + bit] ?? 0);
    const known = 1 << bit;
    for (let pattern = 0; pattern < known; pattern++) table[known + pattern] = (table[pattern] ?? 0) - twice;
  }
}
