import { describe, expect, test } from "vitest";
import { completedScores } from "../../src/search/complete-scores.js";
import { judge } from "../../src/search/judge.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { curveTable } from "../support/search-curves.js";

const losses = Array.from({ length: 17 }, (_, b) => 1 - b / 16);
const whole = curveTable({ losses, samples: 120, seed: 3, step: 0.02 });
const DROPPED = 12;
const KNOWN = 16;

/** The lower cuts left after 16 samples. */
function raced(table: ScoreTable): ScoreTable {
  const isDropped = (index: number) => index > 0 && index < DROPPED;
  return {
    ...table,
    perSample: table.perSample.map((scores, index) =>
      isDropped(index) ? scores.map((score, sample) => (sample < KNOWN ? score : NaN)) : scores,
    ),
    gaps: table.candidates.map((_, index) => (isDropped(index) ? { dropped: true, samples: KNOWN } : null)),
  };
}

function ends({ perSample }: ScoreTable): [Float64Array, Float64Array] {
  return [perSample[0]!, perSample.at(-1)!];
}

describe("completed scores", () => {
  test("what is known stays as it is, what is missing is filled in", () => {
    const table = raced(whole);
    const completed = completedScores(table, ...ends(table));
    for (const [index, column] of completed.entries()) {
      expect(column.every(Number.isFinite)).toBe(true);
      const known = table.perSample[index]!;
      expect(column.filter((_, sample) => !Number.isNaN(known[sample]))).toEqual(
        known.filter((score) => !Number.isNaN(score)),
      );
    }
  });

  test("a column that is a line through another is restored", () => {
    const table = raced(whole);
    const [base, full] = ends(table);
    const planted = full.map((score, sample) => score + 0.3 * (base[sample]! - score) + 0.01);
    const perSample = table.perSample.map((scores, index) =>
      index === 5 ? planted.map((score, sample) => (sample < KNOWN ? score : NaN)) : scores,
    );
    const column = completedScores({ ...table, perSample }, base, full)[5]!;
    for (const [sample, score] of column.entries()) expect(score).toBeCloseTo(planted[sample]!, 10);
  });

  test("nothing dropped: the columns themselves", () => {
    expect(completedScores(whole, ...ends(whole))).toBe(whole.perSample);
  });

  test("the critical value of a race is that of the exhaustive search within 6 %; without those that left it is lower", () => {
    const coveredLayers = losses.slice(1).map((_, layer) => layer);
    const left = whole.candidates.map((_, index) => index).filter((index) => index === 0 || index >= DROPPED);
    const few = {
      ...whole,
      candidates: left.map((index) => whole.candidates[index]!),
      perSample: left.map((index) => whole.perSample[index]!),
    };
    const [all, race, alone] = [whole, raced(whole), few].map((table) => judge(table, { coveredLayers }).criticalValue);
    expect(Math.abs(race! / all! - 1)).toBeLessThan(0.06);
    expect(alone!).toBeLessThan(race!);
  });
});
