import { describe, expect, test } from "vitest";
import { conclude, concludeFrom } from "../../src/search/conclude.js";
import { judgeControls, needsControl, withholdBetter } from "../../src/search/controls.js";
import { judge } from "../../src/search/judge.js";
import { tableOfSamples } from "../../src/search/scores.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { withControls } from "../support/search-scorer.js";

const covered = { coveredLayers: allLayers(5) };
/** upto:3 is better than the full adapter, upto:1 loses nothing. */
const table = curveTable({ losses: [1, 0, 0.1, -0.2, 0.05, 0], samples: 100, seed: 1, step: 0.003 });
const full = withControls(table, 0.1);

describe("conclude", () => {
  test("economy and quality choose differently from the same verdicts", () => {
    const economy = conclude(full, covered);
    const quality = conclude(full, { ...covered, goal: "quality" });
    expect(economy.selected).toMatchObject({ candidate: { id: "upto:1" }, verdict: "not-worse" });
    expect(quality.selected).toMatchObject({ candidate: { id: "upto:3" }, verdict: "better" });
    expect(quality.candidates).toEqual(economy.candidates);
    expect([economy.goal, quality.goal]).toEqual(["economy", "quality"]);
  });

  test("the selected candidate is complete, and says why", () => {
    const { selected } = conclude(full, { ...covered, goal: "quality" });
    expect(selected?.candidate).toEqual({
      id: "upto:3",
      layerScales: [1, 1, 1, 0, 0],
      boost: 1,
      globalScale: 1,
      inputScale: 1,
      outputScale: 0,
    });
    expect(selected?.reason).toMatch(
      /^With 3 of 5 adapted layers, upto:3 is proven better .* 0\.1\d nats per token\.$/,
    );
    expect(selected?.crossFitGain.mean).toBeCloseTo(0.2, 1);
  });

  test("the result holds plain data: it survives JSON", () => {
    const { judgement, ...answer } = conclude(full, covered);
    expect(JSON.parse(JSON.stringify(answer))).toEqual(answer);
    expect(judgement.candidates).toHaveLength(answer.candidates.length);
    expect(Object.keys(answer.candidates[0]!)).not.toContain("role");
  });

  test("any part of the samples can be judged, and then nothing is claimed below eight", () => {
    expect(conclude(tableOfSamples(full, [0, 1, 2, 3, 4]), covered).selected).toBeNull();
    expect(
      conclude(
        tableOfSamples(
          full,
          Array.from({ length: 60 }, (_, i) => i),
        ),
        covered,
      ).selected,
    ).not.toBeNull();
  });

  test("options are passed on: margin, confidence, noise floor", () => {
    const strict = conclude(full, { ...covered, margin: 0.0001, confidence: 0.99, noiseFloor: 0.003 });
    expect(strict).toMatchObject({ margin: 0.0001, confidence: 0.99, controls: { noiseFloor: 0.003 } });
    expect(strict.criticalValue).toBeGreaterThan(conclude(full, covered).criticalValue);
    expect(strict.candidates[1]!.verdict).not.toBe("not-worse");
  });

  test("a failed gate: nothing selected, nothing explained beyond the gate", () => {
    const useless = curveTable({ losses: [1, 0.5, 0], samples: 40, seed: 2, gain: -1 });
    expect(conclude(useless, { coveredLayers: [0, 1] })).toMatchObject({
      gate: { failure: "no-gain" },
      selected: null,
      noSelection: null,
      pareto: [],
    });
  });
});

describe("without controls `better` is withheld", () => {
  const judgement = judge(table, covered);

  test("what lies within the margin is not-worse, and nothing else changes", () => {
    expect(needsControl(judgement)).toBe(true);
    expect(judgement.candidates[3]!.verdict).toBe("better");
    const told = withholdBetter(judgement);
    expect(told.candidates[3]!.verdict).toBe("not-worse");
    expect(told.candidates.toSpliced(3, 1)).toEqual(judgement.candidates.toSpliced(3, 1));
    expect(needsControl(told)).toBe(false);
  });

  test("quality then selects nothing and says what is missing", () => {
    const { selected, noSelection } = concludeFrom(judgement, { ...covered, goal: "quality" });
    expect(selected).toBeNull();
    expect(noSelection).toMatchObject({ kind: "unproven", samplesNeeded: null });
    expect(noSelection?.sentence).toContain(
      "upto:3 scores better, which counts only once the global scales are scored",
    );
  });

  test("after a forced gate there is no margin to fall back on", () => {
    const useless = curveTable({ losses: [1, 0.5, 0], samples: 40, seed: 2, gain: -1 });
    const forced = withholdBetter(judge(useless, { coveredLayers: [0, 1], force: true }));
    expect(forced.candidates[1]!.verdict).toBe("unproven");
  });
});

describe("judgeControls", () => {
  test("the best scale and the paired difference to the selected cut", () => {
    const judgement = judge(full, covered);
    const selected = judgement.candidates[3]!;
    const controls = judgement.candidates.filter(({ role }) => role === "control");
    const answer = judgeControls(judgement, selected, 0);
    expect(answer.bestGlobalScale?.gainVsFull.mean).toBe(Math.max(...controls.map(({ gain }) => gain.mean)));
    expect(answer.selectedVsBest?.mean).toBeCloseTo(selected.gain.mean - answer.bestGlobalScale!.gainVsFull.mean, 12);
    expect(answer).toMatchObject({ explainsGain: false, noiseFloor: 0 });
  });

  test("a not-worse cut has no gain to explain", () => {
    const judgement = judge(withControls(table, -0.5), covered);
    expect(judgeControls(judgement, judgement.candidates[1]!, 0).explainsGain).toBe(false);
    expect(judgeControls(judgement, judgement.candidates[3]!, 0).explainsGain).toBe(true);
  });

  test("nothing selected, or no control in the table", () => {
    expect(judgeControls(judge(full, covered), null, 0)).toMatchObject({ selectedVsBest: null, explainsGain: false });
    expect(judgeControls(judge(table, covered), null, 0.5)).toEqual({
      bestGlobalScale: null,
      noiseFloor: 0.5,
      selectedVsBest: null,
      explainsGain: false,
    });
  });
});
