import { describe, expect, test } from "vitest";
import { choose } from "../../src/search/choose.js";
import { crossFitGain, type CrossFitOptions } from "../../src/search/crossfit.js";
import { judge } from "../../src/search/judge.js";
import { tableOfSamples } from "../../src/search/scores.js";
import { studentCriticalValue } from "../../src/search/student.js";
import { allLayers, curveTable, flatLosses } from "../support/search-curves.js";

const options = (layers: number, more: Partial<CrossFitOptions> = {}): CrossFitOptions => ({
  coveredLayers: allLayers(layers),
  goal: "economy",
  ...more,
});

function meanAndError(values: readonly number[]): { readonly mean: number; readonly error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

describe("honest", () => {
  test("where no cut gains anything the winner's own mean is too good and the cross-fitted one is not", () => {
    const inSample: number[] = [];
    const crossFitted: number[] = [];
    let covered = 0;
    const tables = 200;
    for (let seed = 0; seed < tables; seed++) {
      // True loss 0; noise so large that a cut is proven not worse only with luck.
      const table = curveTable({ losses: flatLosses(8, 0), samples: 40, seed, step: 0.03 });
      const settings = options(8, { draws: 999, seed });
      const chosen = choose(judge(table, settings), "economy");
      if (chosen !== null) inSample.push(chosen.gain.mean);
      const { gain } = crossFitGain(table, settings);
      crossFitted.push(gain.mean);
      if (gain.low <= 0 && gain.high >= 0) covered++;
    }
    expect(inSample.length).toBeGreaterThan(tables / 2);
    const naive = meanAndError(inSample);
    const honest = meanAndError(crossFitted);
    expect(naive.mean).toBeGreaterThan(5 * naive.error);
    expect(Math.abs(honest.mean)).toBeLessThan(3 * honest.error);
    expect(honest.mean).toBeLessThan(naive.mean / 3);
    // 95 % of 200 is 190, sd 3.1.
    expect(covered).toBeGreaterThanOrEqual(180);
  });

  test("a true gain is found by every fold, near its size", () => {
    const table = curveTable({ losses: [1, 0.5, -0.2, 0.1, 0], samples: 100, seed: 1, step: 0.03 });
    const { gain, chosen } = crossFitGain(table, options(4, { goal: "quality" }));
    expect(chosen).toEqual(new Array(5).fill("upto:2"));
    expect(gain.low).toBeGreaterThan(0.17);
    expect(gain.high).toBeLessThan(0.23);
  });

  test("where every fold chooses the same cut it is that cut's mean, with Student's interval", () => {
    const table = curveTable({ losses: [1, 0.5, -0.2, 0.1, 0], samples: 50, seed: 2, step: 0.03 });
    const { gain } = crossFitGain(table, options(4));
    const cut = judge(table, options(4)).candidates[2]!.gain;
    expect(gain.mean).toBeCloseTo(cut.mean, 12);
    expect(gain.high - gain.mean).toBeCloseTo(studentCriticalValue(0.95, 49) * cut.se, 12);
  });
});

describe("folds", () => {
  const grouped = curveTable({ losses: [1, 0.3, 0, 0], samples: 90, perGroup: 3, seed: 3, step: 0.01 });

  test("groups stay whole: three copies of a sample in a group change nothing", () => {
    const once = curveTable({ losses: [1, 0.3, 0, 0], samples: 30, seed: 3, step: 0.01 });
    expect(grouped.perSample[2]![3]).toBe(once.perSample[2]![1]);
    const [whole, thrice] = [crossFitGain(once, options(3)), crossFitGain(grouped, options(3))];
    expect(thrice.chosen).toEqual(whole.chosen);
    expect(thrice.gain.mean).toBeCloseTo(whole.gain.mean, 12);
    expect(thrice.gain.low).toBeCloseTo(whole.gain.low, 12);
  });

  test("no sample takes part in the choice that it is scored on", () => {
    // One group makes every cut look catastrophic. Only the fold without it can choose, so its own loss never counts
    // if groups are whole; where a copy of it stayed behind in the fold's training part nothing would be chosen at all.
    const outlier = grouped.perSample.map((row, index) =>
      index === 1 || index === 2 ? row.map((score, sample) => (sample < 3 ? score + 50 : score)) : row,
    );
    const { gain, chosen } = crossFitGain({ ...grouped, perSample: outlier }, options(3));
    expect(chosen.filter((id) => id !== null)).toHaveLength(1);
    // The fold that chose was scored on the outlier: 3 of 90 samples at about -50.
    expect(gain.mean).toBeCloseTo(-50 / 30, 1);
  });

  test("seed decides the folds, the same seed gives the same bits", () => {
    const table = curveTable({ losses: [1, 0.3, 0.008, 0], samples: 40, seed: 0, step: 0.03 });
    const gains = [0, 0, 1, 2, 3, 4].map((seed) => crossFitGain(table, options(3, { seed })).gain.mean);
    expect(gains[0]).toBe(gains[1]);
    expect(new Set(gains).size).toBeGreaterThan(1);
  });

  test("renaming groups and repeating the call change nothing", () => {
    const renamed = { ...grouped, groups: grouped.groups.map((group) => `other ${group}`) };
    expect(crossFitGain(renamed, options(3))).toEqual(crossFitGain(grouped, options(3)));
  });

  test("never more folds than independent samples", () => {
    const few = tableOfSamples(grouped, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(crossFitGain(few, options(3)).chosen).toHaveLength(3);
    expect(crossFitGain(few, options(3, { folds: 2 })).chosen).toHaveLength(2);
  });

  test("two independent samples leave one per fold: nothing is chosen, gain 0", () => {
    expect(crossFitGain(tableOfSamples(grouped, [0, 3]), options(3))).toEqual({
      gain: { mean: 0, low: 0, high: 0 },
      chosen: [null, null],
    });
  });

  test("one independent sample is refused", () => {
    expect(() => crossFitGain(tableOfSamples(grouped, [0, 1, 2]), options(3))).toThrow(
      expect.objectContaining({ code: "TOO_FEW_SAMPLES" }),
    );
  });
});
