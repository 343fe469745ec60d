import { describe, expect, test } from "vitest";
import { retentionChart } from "../../src/report/retention-chart.js";
import { displayWidth, styleOf } from "../../src/report/text.js";
import type { CalibrationResult, Interval } from "../../src/result.js";
import { kinds, results, tooWide } from "../support/report-results.js";

const chart = (result: CalibrationResult, width: number, unicode = true) =>
  retentionChart(result, styleOf({ width, unicode }));

/** A result whose boundaries have the given retentions. */
function curve(retentions: readonly (Interval | number | null)[], margin = 0.02): CalibrationResult {
  const [template] = results.selected.candidates;
  const candidates = retentions.map((it, boundary) => ({
    ...template!,
    id: `upto:${boundary}`,
    retention: typeof it === "number" ? { mean: it, low: it, high: it } : it,
  }));
  return { ...results.selected, margin, candidates };
}

/** Row of every dot, by column; the axis stands in column 5. */
function dots(lines: readonly string[], dot: string): Map<number, number> {
  const found = new Map<number, number>();
  for (const [row, line] of lines.entries()) {
    for (const [column, character] of Array.from(line).entries()) {
      if (character === dot && column > 5) found.set(column - 6, row);
    }
  }
  return found;
}

test.each(kinds)("%s: within the width, from 20 to 200 columns", (_, result) => {
  for (let width = 20; width <= 200; width++) {
    for (const unicode of [true, false]) expect(tooWide(chart(result, width, unicode).join("\n"), width)).toEqual([]);
  }
});

describe("what is drawn", () => {
  test("nothing without retention, nothing for one boundary", () => {
    expect(chart(results.noGain, 80)).toEqual([]);
    expect(chart(results.forced, 80)).toEqual([]);
    expect(chart(curve([null, null, 1]), 80)).toEqual([]);
    expect(chart(curve([]), 80)).toEqual([]);
  });

  test("a line from 0 to 1 is a diagonal, highest at the top", () => {
    const lines = chart(curve([0, 1 / 3, 2 / 3, 1]), 80);
    // Title, ten rows, axis, labels; two columns per boundary, rows 9, 6, 3, 0 of the ten.
    expect(lines).toHaveLength(13);
    expect([...dots(lines, "\u25cf")].sort((a, b) => a[0] - b[0])).toEqual([
      [0, 10],
      [2, 7],
      [4, 4],
      [6, 1],
    ]);
    expect(lines.at(-2)).toBe(`     \u2514${"\u2500".repeat(7)}`);
    expect(lines.at(-1)).toBe("      0     3");
  });

  test("bounds are a band around the dot, which goes on between columns that both have it", () => {
    const lines = chart(curve([0, { mean: 5 / 9, low: 3 / 9, high: 7 / 9 }, 1], 0.5), 80, false);
    const column = lines.slice(1, 11).map((line) => line[8] ?? " ");
    // Rows count down from 1 in ninths: bar from 7/9 to 3/9 around the dot at 5/9.
    expect(column.map((character) => character.trim() || "-").join("")).toBe("--::*::---");
    const wide = { mean: 5 / 9, low: 3 / 9, high: 7 / 9 };
    const gaps = chart(curve([0, wide, wide, 1], 0.5), 80).map((line) => line.slice(8, 11));
    expect(gaps.slice(3, 8)).toEqual([
      "\u2591".repeat(3),
      "\u2591".repeat(3),
      "\u25cf\u2591\u25cf",
      "\u2591".repeat(3),
      "\u2591".repeat(3),
    ]);
  });

  test("the margin is a line with its label", () => {
    const lines = chart(curve([0, 0.1, 0.2, 1], 0.45), 80, false);
    const [labelled] = lines.filter((line) => line.startsWith("  55 |"));
    expect(labelled).toMatch(/^ {2}55 \|-+$/);
    expect(lines[1]).toMatch(/^ 100 \|/);
    expect(lines[10]).toMatch(/^ {3}0 \|/);
  });

  test("above 1 and below 0 the axis grows", () => {
    const lines = chart(curve([-0.5, 0.5, 1.5, 1]), 80);
    expect(lines[1]).toMatch(/^ 150 /);
    expect(lines[10]).toMatch(/^ -50 /);
    expect(dots(lines, "\u25cf").size).toBe(4);
  });

  test("a bottom of nearly 0 has no sign", () => {
    expect(chart(curve([-1e-17, 0.5, 1]), 80)[10]).toMatch(/^ {3}0 /);
  });

  test("scales have no place on the boundary axis", () => {
    const lines = chart(results.better, 80);
    expect(dots(lines, "\u25cf").size).toBe(6);
    expect(lines.at(-1)).toMatch(/^ {6}0 +5$/);
  });
});

describe("81 boundaries", () => {
  test("all of them side by side where they fit", () => {
    const lines = chart(results.large, 100);
    expect(dots(lines, "\u25cf").size).toBe(81);
    expect(lines.at(-1)!.trim()).toMatch(/^0 +80$/);
  });

  test.each([20, 40, 86])(
    "at %i columns each column is the highest boundary of its share; the last is the full adapter",
    (width) => {
      const lines = chart(results.large, width);
      expect(dots(lines, "\u25cf").size).toBe(width - 6);
      expect(lines.at(-1)!.trim()).toMatch(/ 80$/);
      expect(Math.max(...lines.map(displayWidth))).toBe(Math.max(width, displayWidth(lines[0]!)));
      // The curve rises, so no column stands higher than the one right of it.
      const rows = [...dots(lines, "\u25cf")].sort((a, b) => a[0] - b[0]).map(([, row]) => row);
      expect(rows).toEqual([...rows].sort((a, b) => b - a));
    },
  );
});

test("ASCII is ASCII", () => {
  for (const width of [20, 50, 200]) {
    expect(chart(results.large, width, false).join("\n")).toMatch(/^[\n\x20-\x7e]*$/);
  }
});
