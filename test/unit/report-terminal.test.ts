import { describe, expect, test } from "vitest";
import { renderCalibration } from "../../src/report/terminal.js";
import { styleOf } from "../../src/report/text.js";
import type { CalibrationResult } from "../../src/result.js";
import { kinds, results, tooWide, withoutColor, WRITTEN } from "../support/report-results.js";

const WIDTHS = Array.from({ length: 181 }, (_, index) => 20 + index);

/** The commands may be wider where one argument is; all else may not. */
const withoutCommands = (text: string) => text.split("\nIt loads with:")[0]!;
const render = (result: CalibrationResult, width = 100, more: { color?: boolean; unicode?: boolean } = {}) =>
  renderCalibration(result, { width, ...more });
/** Prose as one line, however it was broken. */
const flowing = (text: string) => withoutColor(text).replaceAll(/\s+/g, " ");

test("the fixtures are what their names say", () => {
  const answer = ({ selected, noSelection, gate }: CalibrationResult) =>
    selected?.candidate.id ?? noSelection?.kind ?? gate.failure;
  expect(Object.fromEntries(kinds.map(([name, result]) => [name, answer(result)]))).toEqual({
    selected: "upto:3",
    better: "upto:3",
    subset: "upto:5",
    explained: "upto:3",
    unproven: "unproven",
    worse: "worse",
    noGain: "no-gain",
    tooFew: "unproven",
    forced: "upto:1",
    forcedNothing: "worse",
    nothingToCut: "worse",
    large: results.large.selected?.candidate.id,
  });
  expect(results.large.candidates).toHaveLength(86);
  expect(results.large.selected).not.toBeNull();
});

describe.each(kinds)("%s", (_, result) => {
  test("no line is wider than asked for, from 20 to 200 columns", () => {
    for (const width of WIDTHS) {
      for (const unicode of [true, false]) {
        expect(tooWide(withoutCommands(render(result, width, { unicode })), width)).toEqual([]);
      }
    }
  });

  test("colours only when asked, every one closed on its line, and nothing else changes", () => {
    for (const width of [20, 80, 200]) {
      const plain = render(result, width);
      expect(plain).not.toContain("\u001b");
      const coloured = render(result, width, { color: true });
      expect(coloured).toContain("\u001b[");
      expect(withoutColor(coloured)).toBe(plain);
      for (const line of coloured.split("\n")) {
        const codes = [...line.matchAll(/\u001b\[(\d+)m/g)].map(([, code]) => code === "0");
        expect(codes).toEqual(codes.map((_, index) => index % 2 === 1));
        expect(codes.length % 2).toBe(0);
      }
    }
  });

  test("ASCII mode is pure ASCII, Unicode mode has no more than drawing and marks", () => {
    for (const width of [20, 37, 80, 200]) {
      expect(render(result, width, { unicode: false })).toMatch(/^[\n\x20-\x7e]*$/);
      expect(render(result, width)).toMatch(
        /^[\n\x20-\x7e\u00b1\u00b7\u2026\u2500-\u257f\u2588\u2591-\u2593\u25ba\u25cf]*$/u,
      );
    }
  });

  test("no trailing line break, no blank ends of lines, no NaN or undefined", () => {
    for (const width of [20, 80]) {
      const text = render(result, width);
      expect(text).toBe(text.trimEnd());
      expect(text).not.toMatch(/ \n|\n\n\n|NaN|undefined|null|Infinity|\[object/);
    }
  });

  test("every candidate has a row", () => {
    const text = render(result, 120);
    for (const { id } of result.candidates)
      expect(text).toMatch(new RegExp(`^(?:  |\u25ba )${id.replaceAll("*", "\\*")} `, "m"));
  });
});

describe("what it says", () => {
  test("a proven cut: layers, bounds, cost, file", () => {
    const text = flowing(render(results.selected));
    expect(text).toContain("Keep LoRA in layers 0 to 2 (upto:3): 3 of 6 adapted layers are enough");
    expect(text).toMatch(/All bounds hold together at 95\.0 % confidence \(2\.\d\d standard errors, 80 samples\)/);
    expect(text).toContain(
      "Cost: 4.2 passes over the samples in 1 min 05 s; plain runs would be 7.0 (1.67 times as many).",
    );
    expect(text).toContain("12,345 tokens computed, 6,789 more shared between samples.");
    expect(text).toContain("Written: out/small.gguf, 5.0 MiB of 9.3 MiB, 1,100,000 of 2,000,000 parameters");
    expect(text).toContain("loaded by llama.cpp, largest logit difference 0.");
    expect(text).toContain("llama-cli -m base.gguf --lora out/small.gguf");
    expect(text).not.toContain("Control:");
  });

  test("the chosen row alone is marked", () => {
    const marked = render(results.selected)
      .split("\n")
      .filter((line) => line.startsWith("\u25ba"));
    expect(marked).toHaveLength(1);
    expect(marked[0]).toMatch(/^\u25ba upto:3 /);
    expect(render(results.unproven)).not.toContain("\u25ba");
    expect(render(results.selected, 100, { unicode: false })).toMatch(/^> upto:3 /m);
  });

  test("a file that was not verified, a file that was not written", () => {
    expect(flowing(render(results.better))).toContain("; not verified.");
    expect(render({ ...results.selected, output: null })).toMatch(/No file was written\.$/);
    expect(render(results.unproven)).not.toContain("No file was written");
    expect(flowing(render(results.unproven))).toContain("The full adapter stays; nothing is written.");
  });

  test.each(["noGain", "tooFew"] as const)("%s: the causes, no retention, no chart", (name) => {
    const text = render(results[name]);
    expect(text).toContain("Likely causes:\n  - ");
    expect(text).not.toContain("kept %");
    expect(text).not.toContain("It loads with");
    const causes = text.split("\n").filter((line) => line.startsWith("  - "));
    expect(causes).toHaveLength(4);
    expect(causes[0]).toContain(name === "tooFew" ? "too few samples" : "already has this adapter merged");
  });

  test("causes keep their indent when they are broken", () => {
    const lines = render(results.noGain, 30).split("\n");
    const first = lines.indexOf("Likely causes:") + 1;
    const causes = lines.slice(first, lines.indexOf("", first));
    expect(causes.length).toBeGreaterThan(4);
    for (const line of causes) expect(line).toMatch(/^ {2}(?:- | {2})\S/);
  });

  test("a plain replay and groups are told", () => {
    const plain = { ...results.selected, engine: { ...results.selected.engine, replay: "plain" as const } };
    expect(flowing(render(plain))).toContain("The replay failed its self-check, so every candidate was a plain run.");
    const grouped = { ...results.selected, data: { ...results.selected.data, groups: 1 } };
    expect(flowing(render(grouped))).toContain("80 samples in 1 group)");
  });

  test("no passes: no division by zero", () => {
    const cost = { passes: 0, naivePasses: 0, seconds: 0, tokensComputed: 0, tokensShared: 0 };
    expect(flowing(render({ ...results.selected, cost }))).toContain("plain runs would be 0.0. 0 tokens computed.");
  });

  test("verdict colours: green where chosen, yellow where not, red after a failed gate", () => {
    const sentence = (result: CalibrationResult, start: string) =>
      render(result, 200, { color: true })
        .split("\n")
        .find((line) => line.includes(start))!;
    expect(sentence(results.selected, "Keep LoRA")).toMatch(/^\u001b\[32m/);
    expect(sentence(results.unproven, "No cut is proven")).toMatch(/^\u001b\[33m/);
    expect(sentence(results.noGain, "The full adapter is")).toMatch(/^\u001b\[31m/);
    expect(sentence(results.forced, "Forced past")).toMatch(/^\u001b\[31m/);
  });

  test("widths below 20, broken or not whole numbers, are drawn as 20", () => {
    for (const width of [0, -5, 19.9, 20.7]) expect(render(results.selected, width)).toBe(render(results.selected, 20));
    expect(styleOf({ width: 80 })).toEqual({ width: 80, color: false, unicode: true, shell: "posix" });
  });

  test("commands are broken between arguments and stay within the width where they can", () => {
    const path = "a/rather/long/folder/name/small.gguf";
    for (const width of [60, 80, 120]) {
      const text = render({ ...results.selected, output: { ...WRITTEN, path } }, width);
      expect(tooWide(text, width)).toEqual([]);
    }
  });
});
