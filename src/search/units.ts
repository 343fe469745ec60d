import { InputError } from "../errors.js";
import { FEWEST_UNITS } from "./bootstrap.js";

/**
 * The independent units of a score table: samples that share a group are one unit, because two questions about one
 * document are not two pieces of evidence. Everything random (multipliers, folds) is drawn per unit.
 */
export interface Units {
  /** Number of independent units, G. */
  readonly count: number;
  /** Unit of every sample, length n, numbered by first appearance. */
  readonly ofSample: Int32Array;
  /** Weight of every sample, length n, sum 1. */
  readonly weights: Float64Array;
}

/**
 * @param groups group name of every sample, length n
 * @param tokens scored tokens of every sample, length n; used only with `tokenWeighted`
 * @param tokenWeighted samples weigh by their scored tokens instead of the same
 */
export function independentUnits(groups: readonly string[], tokens: Int32Array, tokenWeighted: boolean): Units {
  const numbers = new Map<string, number>();
  const ofSample = Int32Array.from(groups, (group) => {
    const known = numbers.get(group);
    if (known !== undefined) return known;
    numbers.set(group, numbers.size);
    return numbers.size - 1;
  });
  const weights = tokenWeighted ? Float64Array.from(tokens) : new Float64Array(groups.length).fill(1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { count: numbers.size, ofSample, weights: weights.map((weight) => weight / total) };
}

/** @throws InputError TOO_FEW_SAMPLES with fewer than 2 units: no bound of any kind can be given */
export function requireSpread({ count, ofSample }: Units): void {
  if (count >= 2) return;
  throw new InputError(
    "TOO_FEW_SAMPLES",
    `Expected at least 2 independent samples but received ${count}: one has no spread to measure. Add samples; claims need ${FEWEST_UNITS}.`,
    { details: { samples: ofSample.length, independent: count } },
  );
}

/** A weighted mean with what its uncertainty is made of. */
export interface UnitMean {
  readonly mean: number;
  /** Per unit: weighted sum of deviations from the mean, length G; they sum to 0. A unit without a value has 0. */
  readonly residuals: Float64Array;
  /**
   * Cluster-robust standard error with the factor G / (G - 1) (Liang & Zeger 1986; CR1 in Cameron & Miller 2015);
   * with one sample per unit and equal weights it is the textbook sd / sqrt(n). 0 where `flat`.
   */
  readonly se: number;
  /** Units with at least one value. */
  readonly count: number;
  /** All units agree to within rounding, so the values carry no information about their own noise. */
  readonly flat: boolean;
}

/** Deviations this small against the values themselves are rounding of double sums, not spread. */
const ROUNDING = 1e-12;

/** @param values one per sample, length n, finite; NaN where there is none: the others then carry all the weight */
export function unitMean(values: Float64Array, units: Units): UnitMean {
  const { weights, ofSample } = units;
  let mean = 0;
  let largest = 0;
  let missing = 0;
  for (let sample = 0; sample < values.length; sample++) {
    const value = values[sample] ?? NaN;
    if (Number.isNaN(value)) {
      missing += weights[sample] ?? 0;
      continue;
    }
    mean += (weights[sample] ?? 0) * value;
    largest = Math.max(largest, Math.abs(value));
  }
  const rest = missing === 0 ? 1 : 1 - missing;
  mean /= rest;
  const residuals = new Float64Array(units.count);
  const isThere = new Uint8Array(units.count);
  for (let sample = 0; sample < values.length; sample++) {
    const value = values[sample] ?? NaN;
    if (Number.isNaN(value)) continue;
    const unit = ofSample[sample] ?? 0;
    isThere[unit] = 1;
    residuals[unit] = (residuals[unit] ?? 0) + ((weights[sample] ?? 0) / rest) * (value - mean);
  }
  const count = missing === 0 ? units.count : isThere.reduce((sum, there) => sum + there, 0);
  const se = Math.sqrt(unitCovariance(residuals, residuals, count));
  const flat = !(se > ROUNDING * largest);
  return { mean, residuals, se: flat ? 0 : se, count, flat };
}

/** Covariance of two weighted means over the same `count` units from their residuals, see `UnitMean.se`. */
export function unitCovariance(first: Float64Array, second: Float64Array, count = first.length): number {
  if (count < 2) return 0;
  let sum = 0;
  for (let unit = 0; unit < first.length; unit++) sum += (first[unit] ?? 0) * (second[unit] ?? 0);
  return (sum * count) / (count - 1);
}
