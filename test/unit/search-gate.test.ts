import { describe, expect, test } from "vitest";
import { judgeGate } from "../../src/search/gate.js";
import { seededRandom } from "../../src/search/resample.js";
import { independentUnits, unitMean } from "../../src/search/units.js";
import { normalNoise } from "../support/search-curves.js";

const gainOf = (values: readonly number[]) => {
  const groups = values.map((_, sample) => `s${sample}`);
  return unitMean(Float64Array.from(values), independentUnits(groups, new Int32Array(values.length).fill(1), false));
};
const options = { confidence: 0.95, seed: 0 };

describe("judgeGate", () => {
  test("its bound is that of one contrast: 128 sign patterns of eight known values", () => {
    // Seven of +1 and one of -1: mean 3/4, sum of squares of deviations 7 x (1/4)^2 + (7/4)^2 = 3.5, se = sqrt(3.5/56).
    const gate = judgeGate(gainOf([1, 1, 1, 1, 1, 1, 1, -1]), 8, false, options);
    // Residuals in 32nds: seven times 1, once -7, sum of squares 56. The last sign stays, so k flipped ones give
    // |S| = |7 - 2k - 7| = 2k in C(7, k) patterns. Rank 123 of 128 is the sixth largest: after one 14, one of the seven 12.
    const critical = Math.sqrt((7 * (144 / 56)) / (8 - 144 / 56));
    expect((gate.gain.high - gate.gain.low) / 2).toBeCloseTo(critical * Math.sqrt(3.5 / 56), 10);
    expect(gate).toMatchObject({ passed: true, failure: null });
  });

  test("below eight units it cannot pass, and proves nothing either way", () => {
    const clear = [1, 1.01, 0.99, 1, 1.02, 0.98, 1];
    expect(judgeGate(gainOf(clear), 7, false, options)).toMatchObject({ passed: false, failure: "too-few" });
    const against = clear.map((value) => -value);
    expect(judgeGate(gainOf(against), 7, true, options)).toMatchObject({ failure: "too-few", forced: true });
  });

  test("force only marks a gate that failed", () => {
    const clear = [1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.03];
    expect(judgeGate(gainOf(clear), 8, true, options)).toMatchObject({ passed: true, forced: false });
  });

  test("an adapter that changes nothing is no gain; copies of one gain or loss prove nothing", () => {
    const copies = (value: number) => judgeGate(gainOf(new Array<number>(16).fill(value)), 16, false, options);
    expect(copies(0)).toMatchObject({ failure: "no-gain", gain: { mean: 0, low: 0, high: 0 } });
    expect(copies(-1)).toMatchObject({ failure: "too-few", gain: { mean: -1, low: -1, high: 0 } });
    expect(copies(1)).toMatchObject({ failure: "too-few", gain: { mean: 1, low: 0, high: 1 } });
  });

  test.each([8, 20, 60])("an adapter of pure noise, %i samples: each error at most about 2.5 %%", (samples) => {
    const random = seededRandom(samples, 6);
    const tables = 2000;
    let [noGain, passed] = [0, 0];
    for (let seed = 0; seed < tables; seed++) {
      const gain = gainOf(Array.from({ length: samples }, () => normalNoise(random)));
      const gate = judgeGate(gain, samples, false, { confidence: 0.95, seed, draws: 999 });
      if (gate.failure === "no-gain") noGain++;
      if (gate.passed) passed++;
    }
    // 2.5 % of 2000 is 50, sd 7: three of them up, and not so few that the test would have no power.
    for (const errors of [noGain, passed]) {
      expect(errors).toBeLessThanOrEqual(71);
      expect(errors).toBeGreaterThan(20);
    }
  });
});
