import { expect, test } from "vitest";
import { judge } from "../../src/search/judge.js";
import { search, type SearchProgress } from "../../src/search/search.js";
import { isClose, isNearFull } from "../../src/search/settle.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { cut, globalScale } from "../support/search-scores.js";
import { tableScorer } from "../support/search-scorer.js";

const losses = Array.from({ length: 25 }, (_, b) => (b === 24 ? 0 : b === 0 ? 1 : 0.014 + 0.0002 * (24 - b)));
const world = (seed: number) => curveTable({ losses, samples: 120, seed, step: 0.004 });

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

test("first who lacks up to a quarter of the layers, then all cuts; references and controls never", () => {
  const [near, all] = [0.25, 1].map((lacking) => ({ doubt: 0.1, lacking }));
  const asked = (candidate: ReturnType<typeof cut>) =>
    [near!, all!].map((step) => isNearFull(candidate, allLayers(24), step));
  expect(asked(cut(24, 18))).toEqual([true, true]);
  expect(asked(cut(24, 17))).toEqual([false, true]);
  expect(asked(globalScale(24, 0.9))).toEqual([false, false]);
  expect(asked(cut(24, 24))).toEqual([false, false]);
});

test("a race chooses as the exhaustive search does, with its critical value where the choice was close", async () => {
  let settled = 0;
  for (let seed = 1; seed <= 6; seed++) {
    const table = world(seed);
    const samples = table.groups.map((_, sample) => sample);
    const batches = Array.from({ length: 15 }, (_, batch) => samples.slice(8 * batch, 8 * batch + 8));
    const scorer = { ...tableScorer(table), batches };
    const stages = new Set<SearchProgress["stage"]>();
    const raced = await search(scorer, { strategy: "race", onProgress: ({ stage }) => void stages.add(stage) });
    const plain = await search(scorer, { strategy: "exhaustive" });
    expect(raced.selected?.candidate.id).toBe(plain.selected?.candidate.id);
    const complete = raced.candidates.every(({ droppedAfter }) => droppedAfter === null);
    if (!stages.has("settle") || !complete) continue;
    settled++;
    expect(raced.criticalValue).toBe(plain.criticalValue);
    expect(raced.candidates).toEqual(plain.candidates);
  }
  expect(settled).toBeGreaterThan(0);
}, 30_000);
