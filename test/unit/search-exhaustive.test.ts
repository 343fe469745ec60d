import { describe, expect, test } from "vitest";
import { CancelledError, InputError, UsageError } from "../../src/errors.js";
import type { SearchScorer } from "../../src/search/scorer.js";
import { search, type SearchOptions, type SearchProgress } from "../../src/search/search.js";
import { allLayers, curveTable, flatLosses } from "../support/search-curves.js";
import { e2eTable, haveE2eScores } from "../support/search-scores.js";
import { tableScorer, withControls } from "../support/search-scorer.js";

const exhaustiveSearch = (scorer: SearchScorer, options: SearchOptions = {}) =>
  search(scorer, { strategy: "exhaustive", ...options });

const SCALES = ["scale:0.5", "scale:0.75", "scale:0.9", "scale:1.1", "scale:1.25"];
const upto = (layers: number) => Array.from({ length: layers + 1 }, (_, boundary) => `upto:${boundary}`);

/** Cuts from `boundary` up lose nothing, those below lose 20 % per layer. */
const planted = (layers: number, boundary: number) =>
  Array.from({ length: layers + 1 }, (_, b) => (b >= boundary ? 0 : b === 0 ? 1 : Math.min(1, 0.2 * (boundary - b))));

describe("exhaustiveSearch on synthetic curves", () => {
  test.each([1, 4, 7, 11])("finds the boundary planted at %i of 12", async (boundary) => {
    for (const seed of [1, 2, 3]) {
      const scorer = tableScorer(curveTable({ losses: planted(12, boundary), samples: 120, seed, step: 0.005 }));
      const outcome = await exhaustiveSearch(scorer);
      expect(outcome.selected).toMatchObject({ candidate: { id: `upto:${boundary}` }, verdict: "not-worse" });
      expect(scorer.calls).toEqual([upto(12)]);
      expect(outcome).toMatchObject({ strategy: "exhaustive", goal: "economy", noSelection: null });
      expect(outcome.candidates.find(({ id }) => id === `upto:${boundary - 1}`)?.verdict).toBe("worse");
    }
  });

  test("two peaks: the lower one is found, though the cuts between them are worse", async () => {
    const losses = [1, 0.6, 0.3, 0, 0.2, 0.3, 0.2, 0.1, 0];
    const outcome = await exhaustiveSearch(tableScorer(curveTable({ losses, samples: 100, seed: 4, step: 0.005 })));
    expect(outcome.selected?.candidate.id).toBe("upto:3");
  });

  test("only covered layers are asked for", async () => {
    const table = curveTable({ losses: planted(6, 3), samples: 60, seed: 5, step: 0.005 });
    const scorer = { ...tableScorer(table), coveredLayers: [2, 4] };
    const outcome = await exhaustiveSearch(scorer);
    expect(scorer.calls).toEqual([["upto:0", "upto:3", "upto:6"]]);
    expect(outcome.selected?.candidate).toMatchObject({ id: "upto:3", layerScales: [1, 1, 1, 0, 0, 0] });
    expect(outcome.candidates.map(({ adaptedLayers }) => adaptedLayers)).toEqual([0, 1, 2]);
  });

  test("one adapted layer: nothing to cut, and it says so", async () => {
    const table = curveTable({ losses: planted(6, 3), samples: 60, seed: 5 });
    const outcome = await exhaustiveSearch({ ...tableScorer(table), coveredLayers: [5] });
    expect(outcome.selected).toBeNull();
    expect(outcome.noSelection?.sentence).toMatch(/^There is nothing to cut/);
  });
});

describe("controls", () => {
  const better = curveTable({ losses: [1, 0.3, 0.1, -0.2, 0.05, 0], samples: 80, seed: 6, step: 0.01 });

  test("are asked only when a cut would be better, and then judged together with the cuts", async () => {
    const scorer = tableScorer(withControls(better, 0.1));
    const outcome = await exhaustiveSearch(scorer);
    expect(scorer.calls).toEqual([upto(5), SCALES]);
    expect(outcome.selected).toMatchObject({ candidate: { id: "upto:3" }, verdict: "better" });
    expect(outcome.candidates.map(({ id }) => id)).toEqual([...upto(5), ...SCALES]);
    expect(outcome.controls.explainsGain).toBe(false);
    expect(outcome.controls.selectedVsBest?.low).toBeGreaterThan(0);
    expect(outcome.selected?.crossFitGain.low).toBeGreaterThan(0);
  });

  test("a scale that gains as much takes the credit", async () => {
    const outcome = await exhaustiveSearch(tableScorer(withControls(better, -0.4)));
    expect(outcome.controls.bestGlobalScale?.gainVsFull.low).toBeGreaterThan(0);
    expect(outcome.controls.explainsGain).toBe(true);
  });

  test("`scale` among the families: one call for all, and not again", async () => {
    const scorer = tableScorer(withControls(better, 0.1));
    await exhaustiveSearch(scorer, { families: ["boundary", "scale"] });
    expect(scorer.calls).toEqual([[...upto(5), ...SCALES]]);
  });

  test("not where nothing is better", async () => {
    const scorer = tableScorer(curveTable({ losses: planted(5, 3), samples: 80, seed: 7, step: 0.005 }));
    expect((await exhaustiveSearch(scorer)).controls).toEqual({
      bestGlobalScale: null,
      noiseFloor: 0,
      selectedVsBest: null,
      explainsGain: false,
    });
    expect(scorer.calls).toHaveLength(1);
  });
});

describe("gate", () => {
  // The adapter makes the base model worse by 1 nat; every cut undoes that.
  const losses = [1, 0.9, 0.8, 0];
  const useless = withControls(curveTable({ losses, samples: 40, seed: 8, gain: -1, step: 0.01 }), 0.1);

  test("a failure ends the search after one call, as an outcome", async () => {
    const scorer = tableScorer(useless);
    const outcome = await exhaustiveSearch(scorer);
    expect(scorer.calls).toHaveLength(1);
    expect(outcome.gate).toMatchObject({ passed: false, failure: "no-gain", forced: false });
    expect(outcome).toMatchObject({ selected: null, noSelection: null, pareto: [] });
    expect(outcome.candidates.every(({ retention }) => retention === null)).toBe(true);
  });

  test("`force` goes on, controls included", async () => {
    const scorer = tableScorer(useless);
    const outcome = await exhaustiveSearch(scorer, { force: true });
    expect(scorer.calls).toHaveLength(2);
    expect(outcome.gate).toMatchObject({ passed: false, failure: "no-gain", forced: true });
    expect(outcome.selected).toMatchObject({ candidate: { id: "upto:1" }, verdict: "better" });
  });
});

describe("progress and cancellation", () => {
  const table = withControls(curveTable({ losses: [1, 0.3, -0.2, 0], samples: 60, seed: 9, step: 0.01 }), 0.1);

  test("the stages follow each other", async () => {
    const seen: SearchProgress[] = [];
    await exhaustiveSearch(tableScorer(table), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { stage: "boundary", done: 0, total: 4 },
      { stage: "boundary", done: 4, total: 4 },
      { stage: "controls", done: 0, total: 5 },
      { stage: "controls", done: 5, total: 5 },
    ]);
  });

  test("cancelled before the start: nothing is scored", async () => {
    const scorer = tableScorer(table);
    await expect(exhaustiveSearch(scorer, { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
    expect(scorer.calls).toEqual([]);
  });

  test.each([1, 2])("cancelled during call %i", async (call) => {
    const controller = new AbortController();
    const scorer = tableScorer(table, (now) => {
      if (now === call) controller.abort();
    });
    await expect(exhaustiveSearch(scorer, { signal: controller.signal })).rejects.toThrow(CancelledError);
    expect(scorer.calls).toHaveLength(call);
  });

  test("cancelled between the calls, where the scorer did not notice", async () => {
    const controller = new AbortController();
    const scorer = tableScorer(table);
    const deaf: SearchScorer = {
      ...scorer,
      score: async (candidates) => {
        const scores = await scorer.score(candidates, {});
        controller.abort();
        return scores;
      },
    };
    await expect(exhaustiveSearch(deaf, { signal: controller.signal })).rejects.toThrow(CancelledError);
    expect(scorer.calls).toHaveLength(1);
  });

  test("an error of the scorer comes through as it is", async () => {
    const failure = new Error("device lost");
    const scorer = tableScorer(table, () => {
      throw failure;
    });
    await expect(exhaustiveSearch(scorer)).rejects.toBe(failure);
  });
});

describe("what is refused before anything is scored", () => {
  test.each([0, 1])("%i samples", async (samples) => {
    const scorer = tableScorer(curveTable({ losses: planted(3, 2), samples, seed: 1 }));
    await expect(exhaustiveSearch(scorer, { force: true })).rejects.toThrow(InputError);
    await expect(exhaustiveSearch(scorer)).rejects.toMatchObject({ code: "TOO_FEW_SAMPLES" });
    expect(scorer.calls).toEqual([]);
  });

  test("many samples of one group are one", async () => {
    const scorer = tableScorer(curveTable({ losses: planted(3, 2), samples: 20, perGroup: 20, seed: 1 }));
    await expect(exhaustiveSearch(scorer)).rejects.toMatchObject({
      code: "TOO_FEW_SAMPLES",
      details: { samples: 20, independent: 1 },
    });
    expect(scorer.calls).toEqual([]);
  });

  test("options out of range", async () => {
    const scorer = tableScorer(curveTable({ losses: planted(3, 2), samples: 20, seed: 1 }));
    await expect(exhaustiveSearch(scorer, { margin: 2 })).rejects.toThrow(UsageError);
    await expect(exhaustiveSearch({ ...scorer, coveredLayers: [3] })).rejects.toThrow(UsageError);
    expect(scorer.calls).toEqual([]);
  });

  test("two to seven samples run, and claim nothing", async () => {
    const scorer = tableScorer(curveTable({ losses: flatLosses(3, -0.5), samples: 7, seed: 1, step: 0.001 }));
    const outcome = await exhaustiveSearch(scorer, { force: true });
    expect(outcome).toMatchObject({ selected: null, noSelection: { kind: "unproven" } });
    expect(outcome.noSelection?.sentence).toContain("fewer than 8 independent samples (here 7)");
  });
});

describe.skipIf(!haveE2eScores)("the recorded E2E table (SmolLM2-135M, 150 samples)", () => {
  const scales = ["0.50", "0.75", "0.90", "1.10", "1.25"];

  test("DESIGN's verdicts and retentions", async () => {
    const scorer = { ...tableScorer(e2eTable(scales)), coveredLayers: allLayers(30) };
    const outcome = await exhaustiveSearch(scorer, { families: ["boundary", "scale"] });
    const row = (id: string) => outcome.candidates.find((candidate) => candidate.id === id)!;
    expect(
      ["upto:29", "upto:28", "upto:27", "upto:24", "upto:0", "scale:0.75", "scale:1.25"].map((id) => row(id).verdict),
    ).toEqual(["not-worse", "unproven", "worse", "worse", "worse", "unproven", "not-worse"]);
    for (const [id, retention] of [
      ["upto:29", 0.992],
      ["upto:28", 0.976],
      ["upto:27", 0.956],
      ["upto:24", 0.896],
      ["upto:20", 0.8025],
      ["upto:15", 0.681],
      ["upto:10", 0.424],
      ["scale:0.75", 0.974],
      ["scale:1.25", 0.995],
    ] as const) {
      expect(Math.abs(row(id).retention!.mean - retention), id).toBeLessThan(0.0006);
    }
    expect(outcome.selected?.candidate.id).toBe("upto:29");
    // All folds choose upto:29, so the cross-fitted cost is its mean difference.
    expect(outcome.selected?.crossFitGain.mean).toBeCloseTo(row("upto:29").gainVsFull.mean, 12);
    expect(outcome.gate.gain.mean).toBeCloseTo(1.1402, 4);
    expect(outcome.criticalValue).toBeGreaterThan(2.5);
    expect(outcome.criticalValue).toBeLessThan(2.9);
  });

  test("the boundaries alone are enough: no cut is better, so no control is asked for", async () => {
    const scorer = tableScorer(e2eTable());
    const outcome = await exhaustiveSearch(scorer);
    expect(scorer.calls).toHaveLength(1);
    expect(outcome.selected).toMatchObject({ candidate: { id: "upto:29" }, verdict: "not-worse" });
  });
});
