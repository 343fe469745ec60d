import { expect, test } from "vitest";
import { judge, type JudgedCandidate } from "../../src/search/judge.js";
import { allLayers, curveTable, flatLosses } from "../support/search-curves.js";
import { withControls } from "../support/search-scorer.js";

const LAYERS = 24;
const TABLES = 300;
/** 5 % of 300 is 15, sd 3.8; one-sided claims err in half of it, 7.5, sd 2.7. */
const AT_MOST_FIVE_PERCENT = 15;

/** In how many tables some cut meets each condition. */
function countTables<Name extends string>(
  loss: number,
  samples: number,
  conditions: Readonly<Record<Name, (cut: JudgedCandidate, critical: number) => boolean>>,
  perGroup = 1,
): Record<Name, number> {
  const names = Object.keys(conditions) as Name[];
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  for (let seed = 0; seed < TABLES; seed++) {
    const table = curveTable({ losses: flatLosses(LAYERS, loss), samples, seed, step: 0.05, perGroup });
    const { candidates, criticalValue } = judge(table, { coveredLayers: allLayers(LAYERS), draws: 999, seed });
    const cuts = candidates.filter(({ role }) => role === "cut");
    for (const name of names) if (cuts.some((cut) => conditions[name](cut, criticalValue))) counts[name]++;
  }
  return counts;
}

const naivelyBetter = ({ gain }: JudgedCandidate) => gain.mean - 1.96 * gain.se > 0;

test("where no cut is better, some is called so in at most 5 % of tables; a bound for one cut alone fails this", () => {
  const { better, naive, missed } = countTables(0, 60, {
    better: ({ verdict }) => verdict === "better",
    naive: naivelyBetter,
    missed: ({ gainVsFull }) => gainVsFull.low > 0 || gainVsFull.high < 0,
  });
  expect(better).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT);
  expect(naive).toBeGreaterThan(2 * AT_MOST_FIVE_PERCENT);
  // Both sides of all 23 intervals: 5 %, and three standard deviations of the count.
  expect(missed).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT + 11);
  expect(missed).toBeGreaterThan(3);
}, 10_000);

test("the same with 40 samples in 20 groups: what counts is the groups", () => {
  const { better, naive } = countTables(
    0,
    40,
    { better: ({ verdict }) => verdict === "better", naive: naivelyBetter },
    2,
  );
  expect(better).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT + 5);
  expect(naive).toBeGreaterThan(2 * AT_MOST_FIVE_PERCENT);
}, 10_000);

test("where every cut loses exactly the margin, few tables claim `not-worse` or `worse`", () => {
  const { kept, lost } = countTables(0.02, 60, {
    kept: ({ verdict }) => verdict === "not-worse" || verdict === "better",
    lost: ({ verdict }) => verdict === "worse",
  });
  expect(kept).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT);
  expect(lost).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT);
}, 10_000);

test("controls are judged by the same bounds: none is called better where none is", () => {
  let better = 0;
  for (let seed = 0; seed < TABLES; seed++) {
    const table = withControls(curveTable({ losses: [1, 0.5, 0], samples: 40, seed }), 0, seed);
    const { candidates } = judge(table, { coveredLayers: [0, 1], draws: 999, seed });
    if (candidates.some(({ role, verdict }) => role === "control" && verdict === "better")) better++;
  }
  expect(better).toBeLessThanOrEqual(AT_MOST_FIVE_PERCENT);
}, 10_000);
