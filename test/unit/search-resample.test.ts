import { describe, expect, test } from "vitest";
import { seededRandom, shuffledIndices } from "../../src/search/resample.js";
import { studentCriticalValue } from "../../src/search/student.js";

/** Pearson's statistic against equal shares; mean `cells - 1`, sd sqrt(2 (cells - 1)). */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe("nextBelow", () => {
  test.each([1, 2, 3, 7, 100])("below %i: only whole numbers in range, equally often", (limit) => {
    const random = seededRandom(limit);
    const counts = new Array<number>(limit).fill(0);
    for (let draw = 0; draw < 200 * limit; draw++) {
      const value = random.nextBelow(limit);
      counts[value] = counts[value]! + 1;
    }
    expect(counts).toHaveLength(limit);
    expect(chiSquare(counts)).toBeLessThan(limit - 1 + 4 * Math.sqrt(2 * limit));
  });

  test("no modulo bias where it would be largest: 3 x 2^30 does not divide 2^32", () => {
    const limit = 3 * 2 ** 30;
    const random = seededRandom(1);
    let low = 0;
    for (let draw = 0; draw < 6000; draw++) if (random.nextBelow(limit) < 2 ** 30) low++;
    // A third is 2000, sd 36.5; the remainder alone would give one half, 3000.
    expect(Math.abs(low - 2000)).toBeLessThan(150);
  });
});

describe("shuffledIndices", () => {
  test("all 24 orders of four are equally likely", () => {
    const random = seededRandom(2);
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 4800; draw++) {
      const order = shuffledIndices(4, random).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()])).toBeLessThan(23 + 4 * Math.sqrt(46));
  });

  test("nothing and one", () => {
    expect(shuffledIndices(0, seededRandom(0))).toHaveLength(0);
    expect(Array.from(shuffledIndices(1, seededRandom(0)))).toEqual([0]);
  });
});

describe("studentCriticalValue", () => {
  test("one and two degrees of freedom have closed forms", () => {
    // Cauchy: tan(pi p / 2). Two: p sqrt(2 / (1 - p^2)).
    for (const confidence of [0.1, 0.5, 0.9, 0.99]) {
      expect(studentCriticalValue(confidence, 1) / Math.tan((Math.PI * confidence) / 2)).toBeCloseTo(1, 8);
      const two = confidence * Math.sqrt(2 / (1 - confidence ** 2));
      expect(studentCriticalValue(confidence, 2) / two).toBeCloseTo(1, 8);
    }
  });

  test("falls with the degrees of freedom, rises with the confidence", () => {
    for (let freedom = 1; freedom < 60; freedom++) {
      expect(studentCriticalValue(0.95, freedom)).toBeGreaterThan(studentCriticalValue(0.95, freedom + 1));
    }
    const confidences = [0.5, 0.8, 0.95, 0.99, 0.999, 0.99999];
    const values = confidences.map((confidence) => studentCriticalValue(confidence, 12));
    expect([...values].sort((a, b) => a - b)).toEqual(values);
  });
});
