import { describe, expect, test } from "vitest";
import { curveTable } from "../../src/report/curve-table.js";
import { displayWidth, styleOf } from "../../src/report/text.js";
import type { CalibrationResult } from "../../src/result.js";
import { kinds, results, tooWide } from "../support/report-results.js";

const table = (result: CalibrationResult, width: number, more: { unicode?: boolean; color?: boolean } = {}) =>
  curveTable(result, styleOf({ width, ...more }));
const titles = (result: CalibrationResult, width: number) => table(result, width)[0]!.trim().split(/ {2,}/);

test.each(kinds)("%s: a title and a row each, within the width", (_, result) => {
  for (let width = 20; width <= 200; width++) {
    const lines = table(result, width);
    expect(lines).toHaveLength(result.candidates.length + 1);
    expect(tooWide(lines.join("\n"), width)).toEqual([]);
  }
});

describe("columns", () => {
  test("the richest set that fits, down to name and verdict", () => {
    expect(titles(results.selected, 120)).toEqual([
      "cut",
      "layers",
      "NLL",
      "gain vs full",
      "kept % (bounds)",
      "verdict",
    ]);
    const counts = Array.from({ length: 101 }, (_, index) => titles(results.selected, 20 + index).length);
    expect(counts.every((columns, index) => index === 0 || columns >= counts[index - 1]! - 1)).toBe(true);
    expect(titles(results.selected, 60)).toEqual(["cut", "layers", "kept % (bounds)", "verdict"]);
    expect(titles(results.selected, 28)).toEqual(["cut", "kept %", "verdict"]);
    expect(titles(results.selected, 20)[0]).toBe("cut");
  });

  test("no retention, no such column", () => {
    expect(titles(results.noGain, 120)).toEqual(["cut", "layers", "NLL", "gain vs full", "verdict"]);
    expect(titles(results.noGain, 28)).toEqual(["cut", "gain", "verdict"]);
  });

  test("they stand below their titles", () => {
    for (const unicode of [true, false]) {
      const lines = table(results.large, 120, { unicode });
      const start = lines[0]!.indexOf("verdict");
      for (const line of lines.slice(1)) {
        expect(displayWidth(line.slice(0, start))).toBe(start);
        expect(line.slice(start)).toMatch(/^(?:better|not-worse|worse|unproven|reference)$/);
      }
    }
  });
});

describe("cells", () => {
  test("numbers are those of the result", () => {
    const { id, mean, gainVsFull, retention, adaptedLayers } = results.selected.candidates[2]!;
    const row = table(results.selected, 120).find((line) => line.trim().startsWith(`${id} `))!;
    const half = ((gainVsFull.high - gainVsFull.low) / 2).toFixed(4);
    const [kept, low, high] = [retention!.mean, retention!.low, retention!.high].map((it) => (it * 100).toFixed(1));
    expect(row.trim().split(/ {2,}/)).toEqual([
      id,
      String(adaptedLayers),
      mean.toFixed(4),
      `${gainVsFull.mean.toFixed(4)} \u00b1${half}`,
      `${kept!} (${low!} to ${high!})`,
      "worse",
    ]);
    expect(gainVsFull.mean).toBeLessThan(0);
  });

  test("base keeps nothing, full is the reference and has no gain over itself", () => {
    const lines = table(results.selected, 120);
    expect(lines[1]).toMatch(/^ {2}upto:0 .* 0\.0 \(0\.0 to 0\.0\) {2}worse$/);
    expect(lines.at(-1)).toMatch(/^ {2}upto:6 +6 +\d\.\d{4} +- +100\.0 +reference$/);
  });

  test("controls come after the reference and are judged", () => {
    const lines = table(results.better, 120, { unicode: false });
    expect(lines.at(-6)).toMatch(/reference$/);
    expect(lines.slice(-5).every((line) => /^ {2}scale:[\d.]+ /.test(line))).toBe(true);
    expect(lines.find((line) => line.startsWith("> "))).toMatch(/^> upto:3 .* \+0\.\d{4} \+-0\.\d{4} .* better$/);
  });

  test("a row alone without retention in a table with it shows a dash", () => {
    const candidates = results.selected.candidates.map((candidate, index) =>
      index === 1 ? { ...candidate, retention: null } : candidate,
    );
    expect(table({ ...results.selected, candidates }, 120)[2]).toMatch(/ - {2}worse$/);
  });
});

describe("narrow", () => {
  test("verdicts cut short still differ", () => {
    const verdicts = ["better", "not-worse", "worse", "unproven"] as const;
    const [first] = results.selected.candidates;
    const candidates = verdicts.map((verdict) => ({ ...first!, id: "a-name-of-some-length", verdict }));
    const ends = table({ ...results.selected, selected: null, candidates: [...candidates, first!] }, 20).map((line) =>
      line.slice(line.lastIndexOf(" ") + 1),
    );
    expect(new Set(ends.slice(1, 5)).size).toBe(4);
    expect(ends[2]).toBe("not-wo\u2026");
  });

  test("long names are cut, and marked as cut", () => {
    const candidates = results.selected.candidates.map((candidate) => ({ ...candidate, id: "n".repeat(300) }));
    for (const line of table({ ...results.selected, candidates }, 40).slice(1)) {
      expect(line).toMatch(/^ {2}n+\u2026 /);
      expect(displayWidth(line)).toBeLessThanOrEqual(40);
    }
  });
});

test("colour by verdict: title and chosen row bold, kept green, worse dim, unproven plain", () => {
  const [title, ...rows] = table(results.selected, 100, { color: true });
  expect(title).toMatch(/^\u001b\[1m.*\u001b\[0m$/);
  for (const [index, { id, verdict }] of results.selected.candidates.entries()) {
    const code = id === "upto:3" ? 1 : { better: 32, "not-worse": 32, worse: 2, unproven: null }[verdict];
    if (code === null) expect(rows[index]).not.toContain("\u001b");
    else expect(rows[index]!.startsWith(`\u001b[${code}m`)).toBe(true);
  }
});
