import { describe, expect, test } from "vitest";
import { judge } from "../../src/search/judge.js";
import { binaryRange, withUnseenLosses, worstUnit } from "../../src/search/near-binary.js";
import { seededRandom, type SeededRandom } from "../../src/search/resample.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { signFlipCriticalValue } from "../../src/search/sign-flip.js";
import { independentUnits, unitMean } from "../../src/search/units.js";
import { allLayers } from "../support/search-curves.js";
import { cut } from "../support/search-scores.js";

const alone = (count: number) =>
  independentUnits(
    Array.from({ length: count }, (_, index) => `s${index}`),
    new Int32Array(count).fill(1),
    false,
  );
/** `wins` ones, then zeros. */
const ones = (wins: number, count: number) =>
  Float64Array.from({ length: count }, (_, index) => (index < wins ? 1 : 0));
const options = { confidence: 0.95, seed: 0 };
const chance = (random: SeededRandom, probability: number) => random.nextUint32() / 2 ** 32 < probability;

describe("signFlipCriticalValue, all patterns", () => {
  test("eight units of one difference: of 128 patterns one aligns all, eight all but one, with t = 3", () => {
    // S = 6, Q = 8: t^2 = 7 x (36 / 8) / (8 - 36 / 8) = 9. Rank 0.95 x 129 = 122.55, rounded up, is among those eight.
    expect(signFlipCriticalValue([ones(8, 8)], alone(8), options)).toBeCloseTo(3, 6);
    expect(signFlipCriticalValue([ones(8, 8)], alone(8), { ...options, confidence: 0.99 })).toBe(Infinity);
  });

  test.each([
    // |S| = 5 has the share 2 / 32 > 0.05: t^2 = 9 x 5 / (10 - 5) = 9, and what was observed has just that.
    [5, 3, false],
    // |S| = 6 has the share 2 / 64; the next is |S| = 4: t^2 = 9 x (16 / 6) / (10 - 16 / 6) = 36 / 11.
    [6, Math.sqrt(36 / 11), true],
  ])("%i wins and no loss in ten units: %d, rejected: %s", (wins, expected, rejected) => {
    const value = signFlipCriticalValue([ones(wins, 10)], alone(10), options);
    expect(value).toBeCloseTo(expected, 6);
    const { mean, se } = unitMean(ones(wins, 10), alone(10));
    expect(mean / se > value).toBe(rejected);
  });

  test("a group is flipped whole: two samples each in eight groups are eight units", () => {
    const groups = Array.from({ length: 16 }, (_, index) => `g${index >> 1}`);
    const units = independentUnits(groups, new Int32Array(16).fill(1), false);
    expect(signFlipCriticalValue([ones(16, 16)], units, options)).toBeCloseTo(3, 6);
  });

  test("flips are common: a candidate twice costs nothing, another one does; without differences nothing counts", () => {
    const first = ones(6, 10);
    const other = first.map((_, index) => (index >= 4 ? -1 : 0));
    const value = signFlipCriticalValue([first], alone(10), options);
    expect(signFlipCriticalValue([first, first.map((it) => -it), ones(0, 10)], alone(10), options)).toBe(value);
    expect(signFlipCriticalValue([first, other], alone(10), options)).toBeGreaterThan(value);
  });
});

test("size: of 400 tables of ten candidates without effect, some is rejected in at most 5 %", () => {
  let rejected = 0;
  const units = alone(40);
  for (let seed = 0; seed < 400; seed++) {
    const random = seededRandom(seed, 61);
    const sign = () => (chance(random, 0.2) ? (chance(random, 0.5) ? 1 : -1) : 0);
    const contrasts = Array.from({ length: 10 }, () => Float64Array.from({ length: 40 }, sign));
    const value = signFlipCriticalValue(contrasts, units, { ...options, seed, draws: 499 });
    const means = contrasts.map((values) => unitMean(values, units));
    if (means.some(({ mean, se, flat }) => !flat && Math.abs(mean) > value * se)) rejected++;
  }
  // 5 % of 400 is 20, sd 4.4.
  expect(rejected).toBeLessThanOrEqual(20 + 9);
  expect(rejected).toBeGreaterThan(4);
});

describe("near-binary scores", () => {
  test("what counts as hits and misses", () => {
    expect(binaryRange([Float64Array.of(0, 1, 1), Float64Array.of(0, NaN, 1)])).toBe(1);
    expect(binaryRange([Float64Array.of(-100, 0, 0, 0, -100, 0, 0, 0, 0, -50)])).toBe(100);
    expect(binaryRange([Float64Array.of(0, 1, 0.5)])).toBeNull();
    expect(binaryRange([Float64Array.of(1, 1, 1)])).toBeNull();
  });

  test("the worst unit is the largest group", () => {
    const units = independentUnits(["a", "a", "a", "b"], new Int32Array(4).fill(1), false);
    expect(worstUnit(1, units)).toBeCloseTo(1.5, 12);
    expect(worstUnit(100, alone(7))).toBeCloseTo(100, 10);
  });

  test("the standard error at the null by hand, and that of the Poisson score test", () => {
    const contrast = unitMean(Float64Array.of(0.3, -0.1, 0.1, 0.1), alone(4));
    // Mean 0.1, variance 0.08 / 3.
    expect(withUnseenLosses(contrast, 1).se).toBeCloseTo(Math.sqrt((0.08 / 3 / 1.1 + 0.1) / 4), 12);
    // 3 losses where 10 are allowed: (10 - 3) / sqrt(10), but for what is of the order of 1 / n.
    const rare = unitMean(
      ones(3, 10_000).map((lost) => 0.001 - lost),
      alone(10_000),
    );
    const { mean, se } = withUnseenLosses(rare, 1);
    expect(mean / se).toBeCloseTo(7 / Math.sqrt(10), 2);
    const losing = unitMean(Float64Array.of(-1, 0, 0, 0), alone(4));
    expect(withUnseenLosses(losing, 1)).toBe(losing);
  });
});

/** Misses as losses: the full adapter hits 80 %, the base model 50 %; each cut misses `lost` of all on its own. */
function answered(cuts: number, samples: number, lost: number, seed: number): ScoreTable {
  const random = seededRandom(seed, 62);
  const layers = cuts + 1;
  const perSample = Array.from({ length: layers + 1 }, () => new Float64Array(samples));
  for (let sample = 0; sample < samples; sample++) {
    const hit = chance(random, 0.8);
    for (const [index, scores] of perSample.entries()) {
      const share = index === layers ? 0 : index === 0 ? 0.3 / 0.8 : lost / 0.8;
      scores[sample] = hit && !chance(random, share) ? 0 : 1;
    }
  }
  return {
    candidates: perSample.map((_, boundary) => cut(layers, boundary)),
    perSample,
    tokens: new Int32Array(samples).fill(3),
    groups: Array.from({ length: samples }, (_, sample) => `s${sample}`),
  };
}

describe("verdicts of hits and misses", () => {
  test("100 answers like the full adapter's prove nothing within 2 %, and 10 % of 10,000 do", () => {
    const few = judge(answered(1, 100, 0, 1), { coveredLayers: [0, 1] });
    expect(few.test).toBe("sign-flip");
    expect(few.gate.passed).toBe(true);
    expect(few.candidates[1]).toMatchObject({ id: "upto:1", gain: { mean: 0 }, verdict: "unproven" });
    expect(few.candidates[1]!.retention!.low).toBeLessThan(0.95);
    const many = judge(answered(1, 10_000, 0, 1), { coveredLayers: [0, 1], margin: 0.1, draws: 499 });
    expect(many.candidates[1]!.verdict).toBe("not-worse");
  });

  test("the retention's lower bound lies above 1 - margin just where a cut is not worse", () => {
    const verdicts = new Set<string>();
    for (const margin of [0.05, 0.1, 0.2, 0.3, 0.5]) {
      for (const lost of [0, 0.01, 0.05]) {
        const { candidates } = judge(answered(3, 300, lost, 7), { coveredLayers: allLayers(4), margin, draws: 499 });
        for (const { role, retention, verdict } of candidates) {
          if (role !== "cut") continue;
          verdicts.add(verdict);
          expect(verdict === "not-worse" || verdict === "better").toBe(retention!.low > 1 - margin);
        }
      }
    }
    expect([...verdicts].sort()).toEqual(["not-worse", "unproven", "worse"]);
  });

  test("where every cut loses the margin by rare misses, few tables claim `not-worse`; observed spread alone claims often", () => {
    const margin = 0.1;
    let [claimed, naive] = [0, 0];
    for (let seed = 0; seed < 200; seed++) {
      const table = answered(6, 80, 0.3 * margin, seed);
      const { candidates, criticalValue, gate, units } = judge(table, {
        coveredLayers: allLayers(7),
        margin,
        draws: 499,
        seed,
      });
      if (!gate.passed) continue;
      const cuts = candidates.filter(({ role }) => role === "cut");
      if (cuts.some(({ verdict }) => verdict === "not-worse" || verdict === "better")) claimed++;
      const [base, full] = [table.perSample[0]!, table.perSample.at(-1)!];
      const observed = cuts.map(({ id }) => {
        const scores = table.perSample[table.candidates.findIndex((candidate) => candidate.id === id)]!;
        return unitMean(
          full.map((score, sample) => score + margin * (base[sample]! - score) - scores[sample]!),
          units,
        );
      });
      if (observed.some(({ mean, se }) => mean > criticalValue * se)) naive++;
    }
    expect(claimed).toBeLessThanOrEqual(10);
    expect(naive).toBeGreaterThan(40);
  });
});
