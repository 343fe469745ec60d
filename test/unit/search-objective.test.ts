import { describe, expect, test } from "vitest";
import { conclude } from "../../src/search/conclude.js";
import { KL, turned, type Objective } from "../../src/search/objective.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { withControls } from "../support/search-scorer.js";

const POINTS: Objective = { name: "rouge-l", higherIsBetter: true, unit: "points" };
const covered = { coveredLayers: allLayers(5) };
/** upto:3 is better than the full adapter, upto:1 loses nothing. */
const losses = withControls(
  curveTable({ losses: [1, 0, 0.1, -0.2, 0.05, 0], samples: 100, seed: 1, step: 0.003 }),
  0.1,
);

describe("an objective that is better when higher", () => {
  /** Scores with the same differences, the other way round: 10 - loss. */
  const scores = losses.perSample.map((column) => column.map((loss) => 10 - loss));
  const table = { ...losses, perSample: scores.map((column) => turned(column, POINTS)) };
  const mirrored = conclude(table, { ...covered, objective: POINTS, goal: "quality" });
  const straight = conclude(losses, { ...covered, goal: "quality" });

  test("gives the verdicts, gains, bounds, retention and choice of the loss that it mirrors", () => {
    for (const [index, candidate] of mirrored.candidates.entries()) {
      const other = straight.candidates[index]!;
      expect(candidate.verdict).toBe(other.verdict);
      expect(candidate.gainVsFull.low).toBeCloseTo(other.gainVsFull.low, 9);
      expect(candidate.retention?.low).toBeCloseTo(other.retention!.low, 9);
      expect(candidate.sem).toBeCloseTo(other.sem, 9);
    }
    expect(mirrored.selected?.candidate).toEqual(straight.selected?.candidate);
    expect(mirrored.selected?.crossFitGain.mean).toBeCloseTo(straight.selected!.crossFitGain.mean, 9);
    expect(mirrored.gate.gain.mean).toBeGreaterThan(0);
  });

  test("tells scores on their own scale, and retention is the share of the metric's gain", () => {
    const [base] = mirrored.candidates;
    const at = (id: string) => mirrored.candidates.find((candidate) => candidate.id === id)!;
    expect(base?.perSample).toEqual(Array.from(scores[0]!));
    expect(at("upto:5").mean).toBeGreaterThan(base!.mean);
    const share = (at("upto:3").mean - base!.mean) / (at("upto:5").mean - base!.mean);
    expect(at("upto:3").retention?.mean).toBeCloseTo(share, 9);
    expect(share).toBeGreaterThan(1.1);
  });

  test("says its gain in the metric's unit", () => {
    expect(mirrored.selected?.reason).toMatch(/better than the full adapter, by at least 0\.\d+ points\.$/);
  });

  test("0 keeps no sign, either way", () => {
    expect(Object.is(turned([0], POINTS)[0], 0)).toBe(true);
    expect(Array.from(turned([0.5, -1], POINTS))).toEqual([-0.5, 1]);
    expect(Array.from(turned([0.5, -1], KL))).toEqual([0.5, -1]);
  });
});

describe("divergence from the full adapter", () => {
  /** KL(upto:b) falls from 1 to 0 and is never below 0. */
  const curve = curveTable({ losses: [1, 0.5, 0.2, 0.03, 0.005, 0], samples: 80, seed: 4, step: 0 });
  const full = curve.perSample[5]!;
  const table = {
    ...curve,
    perSample: curve.perSample.map((column) => column.map((loss, sample) => loss - full[sample]!)),
  };

  test("retention is 1 - KL(candidate) / KL(base), and nothing is better", () => {
    const { candidates, selected, gate } = conclude(table, { ...covered, objective: KL });
    expect(gate.passed).toBe(true);
    for (const { mean, retention, verdict } of candidates) {
      expect(retention?.mean).toBeCloseTo(1 - mean / candidates[0]!.mean, 9);
      expect(verdict).not.toBe("better");
    }
    expect(candidates[5]).toMatchObject({ mean: 0, verdict: "not-worse" });
    expect(selected?.candidate.id).toBe("upto:4");
    expect(selected?.reason).toMatch(/of what the adapter changes\.$/);
  });
});

describe("in-sample", () => {
  test("what would be better is at most not worse; the rest stays", () => {
    const usual = conclude(losses, covered);
    const inside = conclude(losses, { ...covered, inSample: true });
    expect(usual.candidates.map(({ verdict }) => verdict)).toContain("better");
    expect(inside.candidates.map(({ verdict }) => verdict)).toEqual(
      usual.candidates.map(({ verdict }) => (verdict === "better" ? "not-worse" : verdict)),
    );
    expect(conclude(losses, { ...covered, inSample: true, goal: "quality" }).selected).toBeNull();
  });
});
