import { expect, test } from "vitest";
import { judge } from "../../src/search/judge.js";
import { search, type SearchOutcome, type SearchProgress } from "../../src/search/search.js";
import { isClose, SETTLING_STEPS, toComplete } from "../../src/search/settle.js";
import { unitMean } from "../../src/search/units.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { cut, globalScale } from "../support/search-scores.js";
import { tableScorer } from "../support/search-scorer.js";

const losses = Array.from({ length: 25 }, (_, b) => (b === 24 ? 0 : b === 0 ? 1 : 0.012 + 0.0006 * (24 - b)));
const world = (seed: number) => curveTable({ losses, samples: 120, seed, step: 0.004 });

/** Whether the paired means of two choices differ by less than one standard error. */
function sameChoice({ judgement }: SearchOutcome, first = "", second = ""): boolean {
  if (first === second) return true;
  const [a, b] = [first, second].map((name) => judgement.candidates.find(({ id }) => id === name)?.losses);
  const { mean, se } = unitMean(
    a!.map((loss, sample) => loss - b![sample]!),
    judgement.units,
  );
  return Math.abs(mean) < se;
}

test("close: another choice as soon as the critical value may reach the t of the cut that it turns on", () => {
  const judgement = judge(world(1), { coveredLayers: allLayers(24) });
  const cuts = judgement.candidates.filter(({ role }) => role === "cut");
  const ts = cuts.map(({ marginContrast: { mean, se } }) => mean / se);
  const chosen = ts.findIndex((t) => t > judgement.criticalValue);
  expect(chosen).toBeGreaterThan(0);
  // Smaller cuts that just fail, or the chosen one that just holds.
  const nearest = Math.min(...ts.slice(0, chosen + 1).map((t) => Math.abs(t - judgement.criticalValue)));
  expect(isClose(judgement, "economy", nearest * 0.99)).toBe(false);
  expect(isClose(judgement, "economy", nearest * 1.01)).toBe(true);
});

test("two choices that differ by less than a standard error are not close, whatever the critical value", () => {
  // Cuts at 5 and 6 of 8 keep enough by themselves or not at all by a hair; what is between them decides.
  const judged = (apart: number) => {
    const table = curveTable({
      losses: [1, 1, 1, 1, 0.011, 0.004, 0.004, 0.004, 0],
      samples: 100,
      seed: 3,
      step: 0.02,
    });
    const [small, large] = [table.perSample[4]!, table.perSample[5]!];
    // The larger cut is the smaller one again, better by `apart` and with noise of its own.
    for (let sample = 0; sample < 100; sample++)
      large[sample] = small[sample]! - apart + (sample % 2 === 0 ? 0.01 : -0.01);
    return judge(table, { coveredLayers: allLayers(8) });
  };
  // Standard error of the difference: 0.01 x sqrt(100 / 99) / 10.
  const error = 0.01 / Math.sqrt(99);
  for (const [apart, close] of [
    [0.98 * error, false],
    [1.02 * error, true],
  ] as const) {
    const judgement = judged(apart);
    const [small, large] = [4, 5].map((index) => judgement.candidates[index]!.marginContrast);
    const [low, high] = [small!.mean / small!.se, large!.mean / large!.se];
    expect(low).toBeLessThan(high);
    // The smaller cut is chosen just below its t, the larger one just above it.
    expect(isClose({ ...judgement, criticalValue: low }, "economy", (high - low) / 2)).toBe(close);
  }
});

test("first who lacks up to a quarter of the layers, then every third cut, then all; references and controls never", () => {
  const left = [...Array.from({ length: 24 }, (_, index) => cut(24, index + 1)), globalScale(24, 0.9)];
  const asked = SETTLING_STEPS.map((step) => toComplete(left, allLayers(24), step).map(({ id }) => id));
  const cuts = (...sizes: number[]) => sizes.map((size) => `upto:${size}`);
  const all = Array.from({ length: 23 }, (_, index) => index + 1);
  expect(asked).toEqual([cuts(18, 19, 20, 21, 22, 23), cuts(3, 6, 9, 12, 15, 18, 21), cuts(...all)]);
});

test("a race chooses as the exhaustive search does or within a standard error of it, with its critical value where the choice was close", async () => {
  let settled = 0;
  for (let seed = 1; seed <= 6; seed++) {
    const table = world(seed);
    const samples = table.groups.map((_, sample) => sample);
    const batches = Array.from({ length: 15 }, (_, batch) => samples.slice(8 * batch, 8 * batch + 8));
    const scorer = { ...tableScorer(table), batches };
    const stages = new Set<SearchProgress["stage"]>();
    const raced = await search(scorer, { strategy: "race", onProgress: ({ stage }) => void stages.add(stage) });
    const plain = await search(scorer, { strategy: "exhaustive" });
    expect(sameChoice(plain, raced.selected?.candidate.id, plain.selected?.candidate.id)).toBe(true);
    const complete = raced.candidates.every(({ droppedAfter }) => droppedAfter === null);
    if (!stages.has("settle") || !complete) continue;
    settled++;
    expect(raced.criticalValue).toBe(plain.criticalValue);
    expect(raced.candidates).toEqual(plain.candidates);
  }
  expect(settled).toBeGreaterThan(0);
}, 30_000);
