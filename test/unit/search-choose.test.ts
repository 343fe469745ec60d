import { describe, expect, test } from "vitest";
import { choose, explainNoSelection, reasonFor, MOST_SAMPLES_SAID } from "../../src/search/choose.js";
import { judge, type JudgedCandidate, type Judgement } from "../../src/search/judge.js";
import type { JudgeOptions } from "../../src/search/judge-options.js";
import { paretoFront } from "../../src/search/pareto.js";
import { natsAtLeast, percentAbout, percentAtLeast, roundedUp } from "../../src/search/wording.js";
import { allLayers, curveTable, flatLosses, type Curve } from "../support/search-curves.js";

function judged(curve: Curve, options: Partial<JudgeOptions> = {}): Judgement {
  return judge(curveTable(curve), { coveredLayers: allLayers(curve.losses.length - 1), ...options });
}

/** A judgement whose cuts are replaced by ones with given facts; everything else is real. */
function withCuts(cuts: readonly Partial<JudgedCandidate>[]): Judgement {
  const judgement = judged({ losses: flatLosses(cuts.length + 1, 0.01), samples: 40, seed: 1 });
  const [base, ...rest] = judgement.candidates;
  const full = rest.pop()!;
  return { ...judgement, candidates: [base!, ...rest.map((cut, index) => ({ ...cut, ...cuts[index] })), full] };
}

const gain = (mean: number) => ({ mean, se: 0.01, residuals: new Float64Array(40), count: 40, flat: false });

describe("choose", () => {
  const mixed = withCuts([
    { verdict: "worse", gain: gain(-0.5) },
    { verdict: "not-worse", gain: gain(-0.01) },
    { verdict: "better", gain: gain(0.05) },
    { verdict: "better", gain: gain(0.2) },
    { verdict: "unproven", gain: gain(0.9) },
  ]);

  test("economy: the fewest layers that lose nothing; quality: the best proven better", () => {
    expect(choose(mixed, "economy")?.id).toBe("upto:2");
    expect(choose(mixed, "quality")?.id).toBe("upto:4");
  });

  test("quality never takes what is only not worse", () => {
    expect(choose(withCuts([{ verdict: "not-worse" }, { verdict: "not-worse" }]), "quality")).toBeNull();
  });

  test("ties: economy by gain, quality by layers, then the first in the table", () => {
    const tie = (first: number, second: number, layers: readonly [number, number]) =>
      withCuts([
        { verdict: "better", gain: gain(first), adaptedSize: layers[0] },
        { verdict: "better", gain: gain(second), adaptedSize: layers[1] },
      ]);
    expect(choose(tie(0.1, 0.2, [1, 1]), "economy")?.id).toBe("upto:2");
    expect(choose(tie(0.1, 0.1, [2, 1]), "quality")?.id).toBe("upto:2");
    expect(choose(tie(0.1, 0.1, [1, 1]), "economy")?.id).toBe("upto:1");
    expect(choose(tie(0.1, 0.1, [1, 1]), "quality")?.id).toBe("upto:1");
  });

  test("base, full and controls are never chosen", () => {
    const judgement = withCuts([{ role: "control", verdict: "better" }]);
    expect(judgement.candidates.at(-1)?.verdict).toBe("not-worse");
    expect(choose(judgement, "economy")).toBeNull();
    expect(choose(judgement, "quality")).toBeNull();
  });
});

describe("reasonFor says no more than is proven", () => {
  test("not worse: the lower bound of the retention, rounded down", () => {
    const judgement = withCuts([{ verdict: "not-worse", retention: { mean: 0.995, low: 0.98799, high: 1.01 } }]);
    expect(reasonFor(judgement.candidates[1]!, judgement)).toBe(
      "With 1 of 2 adapted layers, upto:1 is proven to keep at least 98.7 % of what the adapter brings.",
    );
  });

  test("better: the lower bound of the gain, rounded down", () => {
    const judgement = withCuts([{ verdict: "better", gainVsFull: { mean: 0.02, low: 0.01296, high: 0.03 } }]);
    expect(reasonFor(judgement.candidates[1]!, judgement)).toBe(
      "With 1 of 2 adapted layers, upto:1 is proven better than the full adapter, by at least 0.012 nats per token.",
    );
  });
});

describe("explainNoSelection", () => {
  test("every cut worse: the least that any is proven to lose", () => {
    const judgement = judged({ losses: [1, 0.4, 0.3, 0.1, 0], samples: 100, seed: 2, step: 0.01 });
    const cuts = judgement.candidates.filter(({ role }) => role === "cut");
    expect(cuts.map(({ verdict }) => verdict)).toEqual(["worse", "worse", "worse"]);
    const { kind, sentence, samplesNeeded, leastLoss } = explainNoSelection(judgement, "economy");
    expect({ kind, samplesNeeded }).toEqual({ kind: "worse", samplesNeeded: null });
    expect(leastLoss).toBeCloseTo(1 - cuts[2]!.retention!.high, 12);
    // A true loss of 10 %, sd 0.01 / sqrt(100): proven to be at least 9.6 or 9.7 %.
    expect(sentence).toMatch(/^Every cut loses at least 9\.[67] % of the adapter's gain\.$/);
  });

  test("every cut worse after a failed gate: there is no gain to be a share of", () => {
    const judgement = judged({ losses: [0, 2, 2, 0], samples: 60, seed: 3, step: 0.05 }, { force: true });
    expect(judgement.gate.passed).toBe(false);
    expect(explainNoSelection(judgement, "economy")).toEqual({
      kind: "worse",
      sentence: "Every cut scores worse than the full adapter.",
      samplesNeeded: null,
      leastLoss: null,
    });
  });

  test("unproven on the winning side: how many samples would decide", () => {
    const losses = [1, 0.2, 0.01, 0];
    const judgement = judged({ losses, samples: 30, seed: 0, step: 0.05 });
    const cut = judgement.candidates[2]!;
    expect(cut).toMatchObject({ verdict: "unproven" });
    expect(cut.marginContrast.mean).toBeGreaterThan(0);
    const { kind, sentence, samplesNeeded } = explainNoSelection(judgement, "economy");
    expect(kind).toBe("unproven");
    expect(sentence).toBe(
      `No cut is proven within 2.0 % of the gain. Unproven: about ${samplesNeeded!} samples would decide about upto:2, the most promising.`,
    );
    // ((c + 0.8416) x sd / mean)^2, rounded up to two digits.
    const ratio = (cut.marginContrast.se * Math.sqrt(30)) / cut.marginContrast.mean;
    expect(samplesNeeded).toBe(roundedUp(Math.ceil(((judgement.criticalValue + 0.8416212335729143) * ratio) ** 2)));
    expect(samplesNeeded).toBeGreaterThan(30);
  });

  test("unproven on the losing side: more samples are unlikely to help", () => {
    const judgement = judged({ losses: [1, 0.3, 0.03, 0], samples: 30, seed: 5, step: 0.05 });
    const { kind, sentence, samplesNeeded, leastLoss } = explainNoSelection(judgement, "economy");
    expect({ kind, leastLoss }).toEqual({ kind: "unproven", leastLoss: null });
    expect(sentence).toContain("More samples are unlikely to help: upto:2, the most promising, is on the losing side");
    expect(sentence).toContain(`about ${samplesNeeded!} would rather prove`);
    expect(samplesNeeded).toBeGreaterThan(30);
  });

  test("quality names the cut nearest to winning among those not yet lost, with more samples than there are", () => {
    // upto:3 is proven to lose a little; upto:4 is open and within the margin.
    const judgement = judged({ losses: [1, 0.5, 0.2, 0.015, 0.001, 0], samples: 100, seed: 6, step: 0.01 });
    expect(judgement.candidates[3]!.gainVsFull.high).toBeLessThan(0);
    expect(judgement.candidates[4]!.verdict).toBe("not-worse");
    const { sentence, samplesNeeded } = explainNoSelection(judgement, "quality");
    expect(sentence).toMatch(/^No cut is proven better than the full adapter\..* upto:4, the most promising/);
    expect(samplesNeeded).toBeGreaterThan(100);
  });

  test("quality where every cut is proven to lose, however little", () => {
    const judgement = judged({ losses: [1, 0.5, 0.2, 0.015, 0.01, 0], samples: 200, seed: 7, step: 0.01 });
    expect(judgement.candidates[4]!.verdict).toBe("not-worse");
    const { kind, sentence, leastLoss } = explainNoSelection(judgement, "quality");
    expect(kind).toBe("worse");
    expect(leastLoss).toBeCloseTo(1 - judgement.candidates[4]!.retention!.high, 12);
    expect(sentence).toBe(`Every cut loses at least ${percentAtLeast(leastLoss!)} of the adapter's gain.`);
  });

  test("below eight samples: says so, and how many would be enough", () => {
    const judgement = judged({ losses: [1, 0.2, -0.1, 0], samples: 5, seed: 8, step: 0.05 }, { force: true });
    const { sentence, samplesNeeded } = explainNoSelection(judgement, "economy");
    expect(sentence).toMatch(/^Nothing can be claimed from fewer than 8 independent samples \(here 5\)\. /);
    expect(samplesNeeded).toBeGreaterThanOrEqual(8);
  });

  test("copies of one sample", () => {
    const copies = judged({ losses: [1, 0.3, 0.1, 0], samples: 20, seed: 9, step: 0 }, { force: true });
    const table = { ...copies.table, perSample: copies.table.perSample.map((row) => row.map(() => row[0]!)) };
    const { sentence } = explainNoSelection(judge(table, copies.options), "economy");
    expect(sentence).toMatch(/they look like copies of one sample\.$/);
  });

  test("a cut equal to the full adapter beside lost ones is not called a copy of samples", () => {
    const { table, options } = judged({ losses: [1, 0.5, 0, 0], samples: 40, seed: 10, step: 0.01 });
    const perSample = table.perSample.with(2, table.perSample[3]!);
    const { kind, sentence } = explainNoSelection(judge({ ...table, perSample }, options), "quality");
    expect(kind).toBe("unproven");
    expect(sentence).toContain("differs from the full adapter by the same amount everywhere");
  });

  test("a mean of exactly 0 needs more samples than anyone has, and no NaN", () => {
    const { table, options } = judged({ losses: [1, 0.5, 0], samples: 40, seed: 11, step: 0.01 });
    const full = new Float64Array(40).fill(1);
    const perSample = [full.map((_, i) => 3 + (i % 3)), full.map((score, i) => score + (i % 2 ? 0.5 : -0.5)), full];
    const { sentence, samplesNeeded } = explainNoSelection(judge({ ...table, perSample }, options), "quality");
    expect(samplesNeeded).toBe(MOST_SAMPLES_SAID);
    expect(sentence).toContain(">100000");
  });
});

describe("paretoFront", () => {
  const retention = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });

  test("keeps what nothing beats in both, most retention first", () => {
    const { candidates } = withCuts([
      { retention: retention(0.9) },
      { retention: retention(0.8) },
      { retention: retention(1.1) },
    ]);
    expect(paretoFront(candidates).map(({ id, adaptedLayers }) => [id, adaptedLayers])).toEqual([
      ["upto:3", 3],
      ["upto:1", 1],
      ["upto:0", 0],
    ]);
  });

  test("ties stay with the first, controls and unknown retention are left out", () => {
    const { candidates } = withCuts([
      { retention: retention(0.9), adaptedLayers: 1 },
      { retention: retention(0.9), adaptedLayers: 1 },
      { retention: null },
      { role: "control", retention: retention(2) },
    ]);
    expect(paretoFront(candidates).map(({ id }) => id)).toEqual(["upto:5", "upto:1", "upto:0"]);
  });
});

test("wording rounds against the claim", () => {
  expect([0.98799, 0.98, 1, 0.9999].map(percentAtLeast)).toEqual(["98.7 %", "98.0 %", "100.0 %", "99.9 %"]);
  expect(percentAbout(0.02)).toBe("2.0 %");
  expect([0.01296, 0.013, 1.99, 12.9, 0.0000129].map(natsAtLeast)).toEqual(["0.012", "0.013", "1.9", "12", "0.000012"]);
  expect([1, 8, 99, 101, 1234, 99_001, Infinity].map(roundedUp)).toEqual([1, 8, 99, 110, 1300, 100_000, Infinity]);
});
