import { describe, expect, it } from "vitest";
import { conclude } from "../../src/search/conclude.js";
import { provenInOrder } from "../../src/search/choose.js";
import { concludeGuarded, explainGuard, judgeGuard } from "../../src/search/guard.js";
import { seededRandom } from "../../src/search/resample.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { expectError } from "../support/expect-error.js";
import { allLayers, curveTable, normalNoise } from "../support/search-curves.js";
import { cut } from "../support/search-scores.js";

const LAYERS = 3;
const options = { coveredLayers: allLayers(LAYERS) };

/** Base model, full adapter, then cuts whose losses are `factors` times the full adapter's, with noise of sd `noise` nats. */
function guardTable(
  factors: readonly number[],
  samples: number,
  { noise = 0.02, seed = 1, base = 1 } = {},
): ScoreTable {
  const random = seededRandom(seed, 11);
  const full = Float64Array.from({ length: samples }, () => Math.abs(2 + 0.5 * normalNoise(random)));
  const scaled = (factor: number) => full.map((score) => factor * score + noise * normalNoise(random));
  return {
    candidates: [
      cut(LAYERS, 0),
      cut(LAYERS, 3),
      ...factors.map((_, index) => ({ ...cut(LAYERS, 1), id: `c${index}` })),
    ],
    perSample: [scaled(base), full, ...factors.map(scaled)],
    tokens: new Int32Array(samples).fill(10),
    groups: Array.from({ length: samples }, (_, sample) => `${sample}`),
  };
}

const verdicts = ({ candidates }: ReturnType<typeof judgeGuard>) =>
  Object.fromEntries(candidates.map(({ id, verdict }) => [id, verdict]));

describe("what not worse means on a guard set", () => {
  it("what is added is a share of the full adapter's loss, by hand", () => {
    const table = guardTable([1, 1], 8);
    const full = Float64Array.of(1, 2, 3, 4, 1, 2, 3, 4);
    const perSample = [full.map((it) => 2 * it), full, full.map((it, index) => it + (index % 2) / 10), full];
    const { candidates } = judgeGuard({ ...table, perSample }, 0.01, options);
    // (0.1 x 4) / 20
    expect(candidates[2]!.added!.mean).toBeCloseTo(0.02, 12);
    expect(candidates[0]!.added).toEqual({ mean: 1, low: 1, high: 1 });
    expect(candidates.map(({ mean }) => mean)).toEqual([5, 2.5, 2.55, 2.5]);
  });

  it("an adapter that brings nothing there, or harms, does not matter", () => {
    for (const base of [1, 0.5, 4]) {
      const judged = judgeGuard(guardTable([1.0005, 1.05], 100, { base }), 0.01, options);
      expect(verdicts(judged)).toMatchObject({ "upto:3": "not-worse", c0: "not-worse", c1: "worse" });
      expect(judged.units).toBe(100);
    }
  });

  it("a verdict is what its bounds say, at every margin", () => {
    const table = guardTable([0.97, 0.998, 1.004, 1.012, 1.05], 40, { noise: 0.03 });
    for (const margin of [0.001, 0.01, 0.02, 0.1]) {
      for (const { id, added, verdict } of judgeGuard(table, margin, options).candidates) {
        if (id === "upto:3") continue;
        expect(verdict).toBe(added!.high < margin ? "not-worse" : added!.low > margin ? "worse" : "unproven");
      }
    }
  });

  it("fewer than eight independent samples prove nothing, and copies of one do not either", () => {
    expect(verdicts(judgeGuard(guardTable([0.5], 7), 0.01, options))).toEqual({
      ...{ "upto:0": "unproven", "upto:3": "not-worse", c0: "unproven" },
    });
    const table = guardTable([0.5], 40);
    const grouped = { ...table, groups: table.groups.map((_, sample) => `g${sample % 7}`) };
    expect(verdicts(judgeGuard(grouped, 0.01, options))["c0"]).toBe("unproven");
    const copies = { ...table, perSample: [3, 2, 1].map((score) => new Float64Array(40).fill(score)) };
    expect(verdicts(judgeGuard(copies, 0.01, options))["c0"]).toBe("unproven");
  });

  it("says not worse of any of ten just beyond the margin in at most one of twenty runs", () => {
    const beyond = new Array<number>(10).fill(1.0101);
    let wrong = 0;
    const runs = 200;
    for (let seed = 0; seed < runs; seed++) {
      const table = guardTable(beyond, 60, { seed });
      const judged = judgeGuard(table, 0.01, { ...options, draws: 499 });
      if (judged.candidates.slice(2).some(({ verdict }) => verdict === "not-worse")) wrong += 1;
    }
    // 0.05 and two standard errors of 200 runs.
    expect(wrong / runs).toBeLessThanOrEqual(0.081);
  });

  it("needs the full adapter, two samples and sound options", () => {
    const table = guardTable([1], 20);
    const lacking = { ...table, candidates: table.candidates.slice(2), perSample: table.perSample.slice(2) };
    expectError(() => judgeGuard(lacking, 0.01, options), "REFERENCE_MISSING", /the full adapter/);
    expectError(() => judgeGuard(guardTable([1], 1), 0.01, options), "TOO_FEW_SAMPLES", /received 1/);
  });
});

describe("the choice under a guard", () => {
  const judging = { coveredLayers: allLayers(6) };
  const searched = conclude(
    curveTable({ losses: [1, 0.6, 0.3, 0, 0, 0, 0], samples: 80, seed: 1, step: 0.005 }),
    judging,
  );
  const why = { kind: "worse", sentence: "no", samplesNeeded: null, leastLoss: null } as const;

  it("examines what could be selected, the first choice first", () => {
    expect(searched.selected!.candidate.id).toBe("upto:3");
    expect(provenInOrder(searched.judgement, "economy").map(({ id }) => id)).toEqual(["upto:3", "upto:4", "upto:5"]);
    expect(provenInOrder(searched.judgement, "quality")).toEqual([]);
  });

  it("stays where the first choice passes, else takes the next that does, with a gain of its own", () => {
    expect(concludeGuarded(searched, new Set(["upto:3", "upto:5"]), why, judging)).toBe(searched);
    const next = concludeGuarded(searched, new Set(["upto:5"]), why, judging);
    expect(next.selected!.candidate.id).toBe("upto:5");
    expect(next.noSelection).toBeNull();
    expect(next.selected!.crossFitGain).not.toEqual(searched.selected!.crossFitGain);
    expect(next.candidates).toEqual(searched.candidates);
  });

  it("selects nothing where none passes", () => {
    expect(concludeGuarded(searched, new Set(), why, judging)).toMatchObject({ selected: null, noSelection: why });
  });

  it("explains it: worse, or unproven and how many samples would decide", () => {
    const worse = explainGuard(judgeGuard(guardTable([1.2, 1.3], 60), 0.01, options), ["c0", "c1"]);
    expect(worse).toEqual({
      ...{ kind: "worse", samplesNeeded: null, leastLoss: null },
      sentence: "What the samples would allow (c0, c1) is proven worse on the guard set.",
    });
    const unsure = explainGuard(judgeGuard(guardTable([1.005], 10, { noise: 0.1 }), 0.01, options), ["c0"]);
    expect(unsure.kind).toBe("unproven");
    expect(unsure.sentence).toMatch(
      /^What the samples would allow \(c0\) is not proven .* (About \d+ guard samples|More guard)/,
    );
    const few = explainGuard(judgeGuard(guardTable([1], 5), 0.01, options), ["c0"]);
    expect(few.sentence).toContain("has 5 independent samples, and fewer than 8 prove nothing");
  });
});
