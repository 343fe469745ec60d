import { describe, expect, test } from "vitest";
import { judge } from "../../src/search/judge.js";
import {
  expectedCriticalValue,
  measuredSpread,
  smallestDifference,
  TYPICAL_SPREAD_SHARE,
  unitsFor,
} from "../../src/search/power.js";
import { studentCriticalValue } from "../../src/search/student.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { e2eTable, haveE2eScores } from "../support/search-scores.js";

describe("smallestDifference and unitsFor, by hand", () => {
  test("(c + z) x sd / sqrt(n) with z = 0.84162", () => {
    // (2 + 0.84162) x 0.5 / sqrt(100)
    expect(smallestDifference({ units: 100, spread: 0.5, criticalValue: 2 })).toBeCloseTo(0.142081, 6);
    expect(smallestDifference({ units: 25, spread: 0.5, criticalValue: 2 })).toBeCloseTo(0.284162, 6);
  });

  test("and back: ((c + z) x sd / difference)^2, rounded up", () => {
    // (2.84162 x 0.5 / 0.05)^2 = 28.4162^2 = 807.48
    expect(unitsFor(0.05, 0.5, 2)).toBe(808);
    expect(unitsFor(10, 0.5, 2)).toBe(8);
    expect(unitsFor(0, 0.5, 2)).toBe(Infinity);
  });

  test("the default is a typical cut as a share of the gain, with the critical value to expect", () => {
    expect(smallestDifference({ units: 150 })).toBeCloseTo(
      ((expectedCriticalValue(150) + 0.841621) * TYPICAL_SPREAD_SHARE) / Math.sqrt(150),
      8,
    );
    const wider = smallestDifference({ units: 150, confidence: 0.99 })!;
    expect(wider).toBeGreaterThan(smallestDifference({ units: 150 })!);
  });

  test.each([0, 1, 2, 7])("%i samples show nothing", (units) => {
    expect(smallestDifference({ units })).toBeNull();
  });

  test("eight do, more show more", () => {
    const shown = [8, 16, 50, 100, 400].map((units) => smallestDifference({ units })!);
    expect(shown.every((value, index) => index === 0 || value < shown[index - 1]!)).toBe(true);
  });
});

test("expectedCriticalValue is Student's t for six contrasts; near what searches have measured", () => {
  expect(expectedCriticalValue(20, 0.9)).toBeCloseTo(studentCriticalValue(1 - 0.1 / 6, 19), 10);
  expect(Math.abs(expectedCriticalValue(150) - 2.65)).toBeLessThan(0.1);
  expect(Math.abs(expectedCriticalValue(10) - 3.4)).toBeLessThan(0.1);
});

describe("measuredSpread", () => {
  test("that of the cut nearest to the margin, per sample", () => {
    const table = curveTable({ losses: [1, 0.5, 0.021, 0.002, 0], samples: 400, seed: 1, step: 0.03 });
    const judgement = judge(table, { coveredLayers: allLayers(4) });
    // Two steps below the full adapter: sd 0.03 x sqrt(2), and the spread of the loss itself is negligible.
    expect(Math.abs(measuredSpread(judgement)! - 0.03 * Math.SQRT2)).toBeLessThan(0.004);
    const nearest = judgement.candidates[2]!.marginContrast;
    expect(measuredSpread(judgement)).toBe(nearest.se * 20);
  });

  test("null where there is no cut, and where nothing has noise", () => {
    const table = curveTable({ losses: [1, 0], samples: 20, seed: 2 });
    expect(measuredSpread(judge(table, { coveredLayers: [0] }))).toBeNull();
    const three = curveTable({ losses: [1, 0.5, 0], samples: 20, seed: 2 });
    const copies = { ...three, perSample: three.perSample.map((row) => row.map(() => row[0]!)) };
    expect(measuredSpread(judge(copies, { coveredLayers: [0, 1] }))).toBeNull();
  });

  test.skipIf(!haveE2eScores)("the recorded adapter: the shares that the typical value comes from", () => {
    const { candidates, gateGain, units } = judge(e2eTable(), { coveredLayers: allLayers(30) });
    const share = (boundary: number) => (candidates[boundary]!.gain.se * Math.sqrt(units.count)) / gateGain.mean;
    expect(share(29)).toBeCloseTo(0.021, 3);
    expect(share(28)).toBeCloseTo(0.039, 3);
    expect(share(27)).toBeCloseTo(0.059, 3);
  });
});

test("the number of samples that unitsFor gives decides in about 80 % of cases", () => {
  // A true loss of 1 % at a margin of 2 %: the contrast is 0.01 nats, its sd 0.03; two cuts, so c is about 2.
  const pilot = judge(curveTable({ losses: [1, 0.01, 0], samples: 500, seed: 0 }), { coveredLayers: [0, 1] });
  const samples = unitsFor(0.01, 0.03, pilot.criticalValue);
  let proven = 0;
  const tables = 200;
  for (let seed = 1; seed <= tables; seed++) {
    const table = curveTable({ losses: [1, 0.01, 0], samples, seed });
    const { candidates } = judge(table, { coveredLayers: [0, 1], draws: 999, seed });
    if (candidates[1]!.verdict === "not-worse") proven++;
  }
  // sd of the share: 2.8 %.
  expect(Math.abs(proven / tables - 0.8)).toBeLessThan(0.085);
});
