import { describe, expect, test } from "vitest";
import { maxTCriticalValue } from "../../src/search/bootstrap.js";
import { seededRandom, shuffledIndices } from "../../src/search/resample.js";
import { studentCriticalValue } from "../../src/search/student.js";
import { independentUnits, unitCovariance, unitMean } from "../../src/search/units.js";
import { normalNoise } from "../support/search-curves.js";

const names = (count: number) => Array.from({ length: count }, (_, index) => `s${index}`);
const plainUnits = (count: number) => independentUnits(names(count), new Int32Array(count).fill(1), false);

describe("seededRandom", () => {
  test("one seed one sequence; seeds and streams differ", () => {
    const draw = (seed: number, stream = 0) => {
      const random = seededRandom(seed, stream);
      return Array.from({ length: 4 }, () => random.nextUint32());
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1)).not.toEqual(draw(1, 1));
    expect(draw(1)).not.toEqual(draw(1 + 2 ** 32));
  });

  test("bits are fair: 32 x 10,000 bits, each within 4.5 standard errors of one half", () => {
    const random = seededRandom(3, 1);
    const ones = new Array<number>(32).fill(0);
    for (let draw = 0; draw < 10_000; draw++) {
      const word = random.nextUint32();
      for (let bit = 0; bit < 32; bit++) ones[bit] = ones[bit]! + ((word >>> bit) & 1);
    }
    // sd of 10,000 fair bits is 50.
    for (const count of ones) expect(Math.abs(count - 5_000)).toBeLessThan(225);
  });

  test("a shuffle keeps every index", () => {
    expect(Array.from(shuffledIndices(50, seededRandom(1))).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    );
  });
});

test.each([
  // Standard tables of Student's t, two-sided.
  [0.95, 1, 12.7062],
  [0.95, 2, 4.30265],
  [0.95, 7, 2.36462],
  [0.95, 8, 2.306],
  [0.95, 30, 2.04227],
  [0.99, 7, 3.49948],
  [0.999, 10, 4.58689],
  [0.95, 100_000, 1.95999],
])("studentCriticalValue(%s, %s) = %s", (confidence, freedom, expected) => {
  expect(studentCriticalValue(confidence, freedom)).toBeCloseTo(expected, 4);
});

describe("unitMean", () => {
  test("one sample per unit: mean and sd / sqrt(n)", () => {
    // 1, 2, 3, 6: mean 3, squares of deviations 4 + 1 + 0 + 9 = 14, sd^2 = 14/3, se = sqrt(14/3/4).
    const { mean, se, residuals, flat } = unitMean(Float64Array.of(1, 2, 3, 6), plainUnits(4));
    expect(mean).toBeCloseTo(3, 14);
    expect(se).toBeCloseTo(Math.sqrt(14 / 12), 14);
    expect(residuals.reduce((sum, value) => sum + value)).toBeCloseTo(0, 14);
    expect(flat).toBe(false);
  });

  test("groups: the spread is that of the group sums", () => {
    // Groups {1, 3} and {2, 6}: deviations from 3 sum to -2 and +2; se^2 = 2/1 x ((2/4)^2 + (2/4)^2) = 1.
    const units = independentUnits(["a", "a", "b", "b"], new Int32Array(4).fill(1), false);
    expect(unitMean(Float64Array.of(1, 3, 2, 6), units).se).toBeCloseTo(1, 14);
  });

  test("samples repeated inside their group leave mean and standard error as they are", () => {
    const values = [0.3, -0.2, 0.5, 0.1, 0.9];
    const once = unitMean(Float64Array.from(values), plainUnits(5));
    const groups = names(5).flatMap((name) => [name, name, name]);
    const thrice = unitMean(
      Float64Array.from(values.flatMap((value) => [value, value, value])),
      independentUnits(groups, new Int32Array(15).fill(1), false),
    );
    expect(thrice.mean).toBeCloseTo(once.mean, 14);
    expect(thrice.se).toBeCloseTo(once.se, 14);
  });

  test("token weights: 1 x 10 tokens and 4 x 30 tokens have mean 3.25", () => {
    const units = independentUnits(["a", "b"], Int32Array.of(10, 30), true);
    expect(unitMean(Float64Array.of(1, 4), units).mean).toBeCloseTo(3.25, 14);
  });

  test("equal values are flat, in spite of rounding", () => {
    expect(unitMean(new Float64Array(9).fill(0.1), plainUnits(9))).toMatchObject({ flat: true, se: 0 });
    expect(unitMean(new Float64Array(9), plainUnits(9))).toMatchObject({ flat: true, mean: 0 });
  });

  test("unitCovariance of two means by hand", () => {
    // Deviations (-1, 0, 1)/3 and (1, -2, 1)/3: products sum to 0; with themselves 2/9 and 6/9, times 3/2.
    const first = unitMean(Float64Array.of(1, 2, 3), plainUnits(3)).residuals;
    const second = unitMean(Float64Array.of(4, 1, 4), plainUnits(3)).residuals;
    expect(unitCovariance(first, second)).toBeCloseTo(0, 14);
    expect(unitCovariance(second, second)).toBeCloseTo(1, 14);
  });
});

describe("maxTCriticalValue", () => {
  const contrasts = (count: number, units: number, seed: number) => {
    const random = seededRandom(seed, 9);
    const values = Array.from({ length: count }, () => Float64Array.from({ length: units }, () => normalNoise(random)));
    return values.map((it) => unitMean(it, plainUnits(units)).residuals);
  };
  const options = { confidence: 0.95, seed: 0 };

  test("all sign patterns of eight units, against a plain loop over them", () => {
    const sets = contrasts(3, 8, 1);
    const largest = Array.from({ length: 128 }, (_, pattern) => {
      const squares = sets.map((residuals) => {
        const signed = residuals.map((value, unit) => ((pattern >> unit) & 1 ? -value : value));
        const mean = signed.reduce((sum, value) => sum + value) / 8;
        // t of the eight signed residuals, the textbook way.
        const variance = signed.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 7;
        return mean ** 2 / (variance / 8);
      });
      return Math.sqrt(Math.max(...squares));
    }).sort((a, b) => a - b);
    // Rank 0.95 x 129 = 122.55, rounded up.
    expect(maxTCriticalValue(sets, 8, options)).toBeCloseTo(largest[122]!, 10);
  });

  test("one contrast of many normal values: close to Student's t", () => {
    const [one] = contrasts(1, 200, 2);
    const value = maxTCriticalValue([one!], 200, { ...options, draws: 19_999 });
    // Monte Carlo error of a 95 % quantile from 20,000 draws: about 0.02.
    expect(Math.abs(value - studentCriticalValue(0.95, 199))).toBeLessThan(0.06);
  });

  test("independent contrasts approach Bonferroni's value and never pass it by more than Monte Carlo error", () => {
    const value = maxTCriticalValue(contrasts(20, 200, 3), 200, { ...options, draws: 19_999 });
    const bonferroni = studentCriticalValue(1 - 0.05 / 20, 199);
    expect(value).toBeGreaterThan(bonferroni - 0.15);
    expect(value).toBeLessThan(bonferroni + 0.08);
  });

  test("the same contrast ten times, or mirrored, or in other units, costs nothing", () => {
    const [one] = contrasts(1, 60, 4);
    const alone = maxTCriticalValue([one!], 60, options);
    const many = [...Array.from({ length: 9 }, () => one!), one!.map((value) => -1000 * value)];
    expect(maxTCriticalValue(many, 60, options)).toBeCloseTo(alone, 12);
  });

  test("order of contrasts is irrelevant, seed decides, more confidence is wider", () => {
    const sets = contrasts(5, 60, 5);
    const value = maxTCriticalValue(sets, 60, options);
    expect(maxTCriticalValue([...sets].reverse(), 60, options)).toBe(value);
    expect(maxTCriticalValue(sets, 60, options)).toBe(value);
    expect(maxTCriticalValue(sets, 60, { ...options, seed: 1 })).not.toBe(value);
    expect(maxTCriticalValue(sets, 60, { ...options, confidence: 0.99 })).toBeGreaterThan(value);
  });

  test("below eight units: Student's t with Bonferroni's correction", () => {
    expect(maxTCriticalValue(contrasts(4, 7, 6), 7, options)).toBeCloseTo(studentCriticalValue(1 - 0.05 / 4, 6), 12);
  });

  test("draws that cannot reach the confidence give an infinite value, not a claim", () => {
    expect(maxTCriticalValue(contrasts(1, 60, 7), 60, { confidence: 0.999, seed: 0, draws: 99 })).toBe(Infinity);
  });
});
