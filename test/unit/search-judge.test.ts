import { describe, expect, test } from "vitest";
import { BackendError, InputError, InternalError, UsageError } from "../../src/errors.js";
import { judge, type Judgement } from "../../src/search/judge.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { tableOfSamples } from "../../src/search/scores.js";
import { independentUnits, unitMean } from "../../src/search/units.js";
import { boundedMean, retentionOf, verdictOf } from "../../src/search/verdicts.js";
import { allLayers, curveTable, flatLosses } from "../support/search-curves.js";
import { cut, globalScale } from "../support/search-scores.js";

const covered = { coveredLayers: [0, 1] };

/** Base, one cut and full on a model of two layers. */
function threeScores(base: number[], middle: number[], full: number[], groups?: string[]): ScoreTable {
  return {
    candidates: [cut(2, 0), cut(2, 1), cut(2, 2)],
    perSample: [base, middle, full].map((scores) => Float64Array.from(scores)),
    tokens: new Int32Array(full.length).fill(5),
    groups: groups ?? full.map((_, sample) => `s${sample}`),
  };
}

const byId = (judgement: Judgement, id: string) => judgement.candidates.find((candidate) => candidate.id === id)!;

describe("verdictOf", () => {
  const interval = (low: number, high: number) => ({ mean: (low + high) / 2, low, high });
  test.each([
    [interval(0.1, 0.3), interval(0.2, 0.4), "better"],
    [interval(-0.1, 0.3), interval(0.01, 0.4), "not-worse"],
    [interval(-0.3, -0.1), interval(-0.2, -0.01), "worse"],
    [interval(-0.3, 0.1), interval(-0.2, 0.2), "unproven"],
    [interval(0, 0), interval(-0.1, 0.1), "unproven"],
    [interval(-0.3, 0), interval(-0.2, 0), "unproven"],
    // Without a proven gain of the adapter there is no margin.
    [interval(-0.3, -0.1), null, "worse"],
    [interval(-0.1, 0.1), null, "unproven"],
    [interval(0.1, 0.2), null, "better"],
  ] as const)("gain %o, margin contrast %o: %s", (gain, margin, verdict) => {
    expect(verdictOf(gain, margin)).toBe(verdict);
  });

  test("a difference without any spread is not evidence", () => {
    const units = independentUnits(["a", "b", "c"], Int32Array.of(1, 1, 1), false);
    expect(boundedMean(unitMean(Float64Array.of(0.5, 0.5, 0.5), units), 2)).toEqual({ mean: 0.5, low: 0, high: 0.5 });
    expect(boundedMean(unitMean(Float64Array.of(-0.5, -0.5, -0.5), units), 2)).toEqual({
      mean: -0.5,
      low: -0.5,
      high: 0,
    });
  });
});

describe("retentionOf", () => {
  const units = independentUnits(
    Array.from({ length: 6 }, (_, index) => `${index}`),
    new Int32Array(6).fill(1),
    false,
  );
  const gate = unitMean(Float64Array.of(0.9, 1.1, 1.2, 0.8, 1.0, 1.3), units);
  const gain = unitMean(Float64Array.of(-0.2, -0.1, 0.05, -0.3, -0.15, -0.05), units);

  test("at each bound the linear contrast lies exactly c standard errors from 0", () => {
    const retention = retentionOf(gain, gate, 2.5)!;
    // gain -0.125, gate 1.05.
    expect(retention.mean).toBeCloseTo(1 - 0.125 / 1.05, 12);
    for (const [bound, sign] of [
      [retention.low, 1],
      [retention.high, -1],
    ] as const) {
      const values = Float64Array.of(0.9, 1.1, 1.2, 0.8, 1.0, 1.3).map(
        (gateValue, index) => [-0.2, -0.1, 0.05, -0.3, -0.15, -0.05][index]! + (1 - bound) * gateValue,
      );
      const contrast = unitMean(values, units);
      expect(contrast.mean / contrast.se).toBeCloseTo(2.5 * sign, 8);
    }
  });

  test("a gain that is not bounded away from 0 bounds no share", () => {
    expect(retentionOf(gain, gate, gate.mean / gate.se + 0.01)).toBeNull();
    expect(retentionOf(gain, { ...gate, mean: -1 }, 2)).toBeNull();
  });

  test("scores equal to the full adapter's or the base model's are 1 and 0 without doubt", () => {
    const same = unitMean(new Float64Array(6), units);
    expect(retentionOf(same, gate, 2)).toEqual({ mean: 1, low: 1, high: 1 });
    const base = retentionOf(unitMean(Float64Array.of(-0.9, -1.1, -1.2, -0.8, -1.0, -1.3), units), gate, 2)!;
    for (const value of [base.mean, base.low, base.high]) expect(value).toBeCloseTo(0, 7);
  });
});

describe("judge, by hand", () => {
  // Eight samples; full - cut is +-d around its mean, so that every standard error is known.
  const full = [1, 1, 1, 1, 1, 1, 1, 1];
  const base = [2.1, 1.9, 2.1, 1.9, 2.1, 1.9, 2.1, 1.9];
  const middle = [0.9, 0.94, 0.9, 0.94, 0.9, 0.94, 0.9, 0.94];
  const judgement = judge(threeScores(base, middle, full), covered);

  test("means, standard errors, bounds", () => {
    const { gain, gainVsFull, mean, sem, verdict } = byId(judgement, "upto:1");
    expect(mean).toBeCloseTo(0.92, 12);
    expect(gain.mean).toBeCloseTo(0.08, 12);
    // Deviations +-0.02: sd = 0.02 x sqrt(8/7), se = 0.02 / sqrt(7).
    expect(gain.se).toBeCloseTo(0.02 / Math.sqrt(7), 12);
    expect(sem).toBeCloseTo(0.02 / Math.sqrt(7), 12);
    expect(gainVsFull.low).toBeCloseTo(0.08 - (judgement.criticalValue * 0.02) / Math.sqrt(7), 12);
    expect(verdict).toBe("better");
  });

  test("gate: base - full with a critical value of its own", () => {
    expect(judgement.gate.gain.mean).toBeCloseTo(1, 12);
    expect(judgement.gate).toMatchObject({ passed: true, failure: null, forced: false });
    const own = (1 - judgement.gate.gain.low) / (0.1 / Math.sqrt(7));
    expect(own).toBeLessThanOrEqual(judgement.criticalValue + 1e-9);
  });

  test("references: full is not-worse with retention 1, base is worse with retention 0", () => {
    expect(byId(judgement, "upto:2")).toMatchObject({
      role: "full",
      verdict: "not-worse",
      gainVsFull: { mean: 0, low: 0, high: 0 },
      retention: { mean: 1, low: 1, high: 1 },
    });
    expect(byId(judgement, "upto:0")).toMatchObject({ role: "base", verdict: "worse" });
  });
});

describe("ties and copies", () => {
  const random = curveTable({ losses: flatLosses(3, 0), samples: 40, seed: 1 });
  const full = random.perSample[3]!;

  test("a cut with the full adapter's scores is never better, and not worse once the gate is clear", () => {
    const judgement = judge(
      { ...random, perSample: [random.perSample[0]!, Float64Array.from(full), random.perSample[2]!, full] },
      { coveredLayers: allLayers(3) },
    );
    expect(byId(judgement, "upto:1")).toMatchObject({ verdict: "not-worse", gainVsFull: { mean: 0, low: 0, high: 0 } });
    expect(byId(judgement, "upto:1").retention).toEqual({ mean: 1, low: 1, high: 1 });
  });

  test("twenty copies of one sample prove nothing", () => {
    const copies = threeScores(
      new Array<number>(20).fill(2),
      new Array<number>(20).fill(0.9),
      new Array<number>(20).fill(1),
    );
    const judgement = judge(copies, covered);
    expect(judgement.gate).toMatchObject({ passed: false, failure: "too-few" });
    expect(byId(judgement, "upto:1").verdict).toBe("unproven");
    expect(judge(copies, { ...covered, force: true }).candidates[1]!.verdict).toBe("unproven");
  });

  test("samples doubled inside their groups do not shrink any interval; as if independent they would", () => {
    const table = curveTable({ losses: flatLosses(6, 0.01), samples: 60, seed: 2 });
    const twice = tableOfSamples(
      table,
      Array.from({ length: 120 }, (_, index) => Math.floor(index / 2)),
    );
    const options = { coveredLayers: allLayers(6) };
    const [once, grouped] = [judge(table, options), judge(twice, options)];
    expect(grouped.criticalValue).toBeCloseTo(once.criticalValue, 10);
    for (const [index, { gainVsFull }] of grouped.candidates.entries()) {
      expect(gainVsFull.low).toBeCloseTo(once.candidates[index]!.gainVsFull.low, 10);
    }
    const wrong = judge({ ...twice, groups: twice.groups.map((_, index) => `${index}`) }, options);
    expect(wrong.candidates[3]!.gain.se / once.candidates[3]!.gain.se).toBeCloseTo(Math.SQRT1_2, 1);
  });
});

describe("invariances", () => {
  const table = curveTable({ losses: [1, 0.5, 0.1, 0.02, 0.004, 0], samples: 50, seed: 3, perGroup: 2 });
  const options = { coveredLayers: allLayers(5) };
  const verdicts = (judgement: Judgement) =>
    Object.fromEntries(judgement.candidates.map(({ id, verdict }) => [id, verdict]));
  const before = judge(table, options);

  test("the same call gives the same bits", () => {
    const again = judge(table, options);
    expect(again.criticalValue).toBe(before.criticalValue);
    expect(again.candidates).toEqual(before.candidates);
  });

  test("candidates in another order", () => {
    const order = [5, 2, 0, 4, 1, 3];
    const after = judge(
      {
        ...table,
        candidates: order.map((index) => table.candidates[index]!),
        perSample: order.map((index) => table.perSample[index]!),
      },
      options,
    );
    expect(after.criticalValue).toBe(before.criticalValue);
    expect(verdicts(after)).toEqual(verdicts(before));
  });

  test("groups by other names: same bits", () => {
    const after = judge({ ...table, groups: table.groups.map((group) => `other ${group}`) }, options);
    expect(after.candidates).toEqual(before.candidates);
  });

  test("samples in another order: same means, critical value within Monte Carlo error", () => {
    const after = judge(
      tableOfSamples(
        table,
        Array.from({ length: 50 }, (_, index) => 49 - index),
      ),
      options,
    );
    for (const [index, { gain }] of after.candidates.entries()) {
      expect(gain.mean).toBeCloseTo(before.candidates[index]!.gain.mean, 12);
      expect(gain.se).toBeCloseTo(before.candidates[index]!.gain.se, 12);
    }
    expect(Math.abs(after.criticalValue - before.criticalValue)).toBeLessThan(0.15);
  });

  test("every score shifted by the same amount per sample: nothing changes", () => {
    const shifted = table.perSample.map((scores) => scores.map((score, sample) => score + (sample % 7)));
    const after = judge({ ...table, perSample: shifted }, options);
    expect(verdicts(after)).toEqual(verdicts(before));
    expect(after.candidates[2]!.gain.mean).toBeCloseTo(before.candidates[2]!.gain.mean, 12);
  });

  test("another candidate tried can only widen the bounds", () => {
    const more = judge(
      {
        ...table,
        candidates: [...table.candidates, globalScale(5, 0.5)],
        perSample: [...table.perSample, curveTable({ losses: flatLosses(5, 0), samples: 50, seed: 9 }).perSample[2]!],
      },
      options,
    );
    expect(more.criticalValue).toBeGreaterThan(before.criticalValue);
    expect(more.candidates.at(-1)!.role).toBe("control");
  });

  test("not-worse exactly where the lower bound of the retention lies above 1 - margin", () => {
    const real = judge(
      curveTable({ losses: Array.from({ length: 31 }, (_, b) => (30 - b) / 300), samples: 80, seed: 4 }),
      {
        coveredLayers: allLayers(30),
        force: true,
      },
    );
    const cuts = real.candidates.filter(({ role, retention }) => role === "cut" && retention !== null);
    expect(new Set(cuts.map(({ verdict }) => verdict)).size).toBeGreaterThan(1);
    for (const { verdict, retention } of cuts) {
      expect(verdict === "not-worse" || verdict === "better").toBe(retention!.low > 0.98);
      expect(verdict === "worse").toBe(retention!.high < 0.98);
    }
  });
});

describe("few samples and bad tables", () => {
  // So clear that anything would be proven if it were allowed to.
  const clear = (count: number) =>
    threeScores(
      Array.from({ length: count }, (_, index) => 2 + 0.01 * (index % 3)),
      Array.from({ length: count }, (_, index) => 0.5 + 0.01 * (index % 2)),
      Array.from({ length: count }, (_, index) => 1 + 0.01 * (index % 4)),
    );

  test("one sample has no spread", () => {
    expect(() => judge(clear(1), covered)).toThrow(expect.objectContaining({ code: "TOO_FEW_SAMPLES" }));
    expect(() => judge(clear(0), covered)).toThrow(InputError);
  });

  test.each([2, 3, 7])("%i samples: finite bounds, nothing claimed, not even by force", (count) => {
    const judgement = judge(clear(count), { ...covered, force: true });
    expect(judgement.noClaims).toBe("too-few-samples");
    expect(judgement.gate).toMatchObject({ passed: false, failure: "too-few" });
    for (const { role, verdict, gainVsFull } of judgement.candidates) {
      if (role !== "full") expect(verdict).toBe("unproven");
      expect(Number.isFinite(gainVsFull.low) && Number.isFinite(gainVsFull.high)).toBe(true);
    }
  });

  test("eight samples may claim; eight in seven groups may not", () => {
    expect(byId(judge(clear(8), covered), "upto:1").verdict).toBe("better");
    const table = { ...clear(8), groups: ["a", "a", "b", "c", "d", "e", "f", "g"] };
    expect(byId(judge(table, covered), "upto:1").verdict).toBe("unproven");
  });

  test("a gate that proves the adapter useless, and one that cannot tell", () => {
    const swap = clear(20);
    const worse = { ...swap, perSample: [swap.perSample[2]!, swap.perSample[1]!, swap.perSample[0]!] };
    const useless = judge(worse, covered);
    expect(useless.gate).toMatchObject({ passed: false, failure: "no-gain", forced: false });
    expect(useless.candidates.map(({ verdict }) => verdict)).toEqual(["unproven", "unproven", "not-worse"]);
    expect(useless.candidates.every(({ retention }) => retention === null)).toBe(true);
    const forced = judge(worse, { ...covered, force: true });
    expect(forced.gate.forced).toBe(true);
    expect(forced.candidates.map(({ verdict }) => verdict)).toEqual(["better", "better", "not-worse"]);
    // Not every seed: noise is called `no-gain` in 2.5 % of cases, see search-gate.test.ts; seed 1 is one of them.
    const noise = curveTable({ losses: flatLosses(2, 0.5), samples: 20, seed: 0, gain: 0.0001, step: 1 });
    expect(judge(noise, covered).gate.failure).toBe("too-few");
    const equal = judge({ ...swap, perSample: [swap.perSample[2]!, swap.perSample[1]!, swap.perSample[2]!] }, covered);
    expect(equal.gate.failure).toBe("no-gain");
  });

  test.each([
    [{ margin: 0 }, "MARGIN_RANGE"],
    [{ margin: 1 }, "MARGIN_RANGE"],
    [{ margin: NaN }, "MARGIN_RANGE"],
    [{ confidence: 1 }, "CONFIDENCE_RANGE"],
    [{ seed: -1 }, "SEED_RANGE"],
    [{ seed: 0.5 }, "SEED_RANGE"],
    [{ draws: 10 }, "DRAWS_RANGE"],
  ])("%o is refused", (wrong, code) => {
    expect(() => judge(clear(9), { ...covered, ...wrong })).toThrow(expect.objectContaining({ code }));
  });

  test("a table without references, with a candidate twice, with NaN, with a short row", () => {
    const table = clear(9);
    const [base, middle, full] = table.perSample;
    expect(() => judge({ ...table, candidates: [cut(2, 0), cut(2, 1), globalScale(2, 0.5)] }, covered)).toThrow(
      expect.objectContaining({ code: "REFERENCE_MISSING" }),
    );
    expect(() => judge({ ...table, candidates: [cut(2, 0), cut(2, 2), cut(2, 2)] }, covered)).toThrow(UsageError);
    const broken = middle!.with(4, NaN);
    expect(() => judge({ ...table, perSample: [base!, broken, full!] }, covered)).toThrow(
      expect.objectContaining({ constructor: BackendError, details: { candidate: "upto:1", sample: 4 } }),
    );
    expect(() => judge({ ...table, perSample: [base!, middle!.slice(1), full!] }, covered)).toThrow(InternalError);
    expect(() => judge({ ...table, perSample: [base!, full!] }, covered)).toThrow(InternalError);
  });
});
