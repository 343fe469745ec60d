import { describe, expect, it, test } from "vitest";
import { renderComparison } from "../../src/report/comparison-view.js";
import { compareResults, transferSentence } from "../../src/report/comparison.js";
import { curveCsv } from "../../src/report/csv.js";
import { textTable } from "../../src/report/table.js";
import { styleOf } from "../../src/report/text.js";
import type { CalibrationResult } from "../../src/result.js";
import { results, tooWide } from "../support/report-results.js";

const on = (quantization: string, from: CalibrationResult = results.selected): CalibrationResult => ({
  ...from,
  model: { ...from.model, path: `base.${quantization}.gguf`, quantization },
});

describe("labels", () => {
  const labels = (...compared: CalibrationResult[]) => compareResults(compared).results.map(({ label }) => label);
  it("are what differs", () => {
    expect(labels(on("Q4_1"), on("Q8_0"))).toEqual(["Q4_1", "Q8_0"]);
    const other = { ...on("Q4_1"), data: { ...results.selected.data, path: "data/other.jsonl" } };
    expect(labels(on("Q4_1"), other)).toEqual(["samples", "other"]);
  });
  it("are numbers where nothing or not all differs", () => {
    expect(labels(on("Q4_1"), on("Q4_1"))).toEqual(["result 1", "result 2"]);
    expect(labels(on("Q4_1"), on("Q8_0"), on("Q8_0"))).toEqual(["Q4_1", "Q8_0 (2)", "Q8_0 (3)"]);
  });
});

describe("is the cut of one right on the other", () => {
  const sentences = (...compared: CalibrationResult[]) => compareResults(compared).transfers.map(transferSentence);
  it("asks every chosen cut of every other result", () => {
    const worse = on("Q8_0", results.worse);
    expect(sentences(on("Q4_1"), on("Q8_0"))).toEqual([
      "The cut found on Q4_1 (upto:3) is proven right on Q8_0 too.",
      "The cut found on Q8_0 (upto:3) is proven right on Q4_1 too.",
    ]);
    // 4 layers against 6: half of the depth is upto:2, which loses 30 % there.
    expect(sentences(on("Q4_1"), worse)).toEqual([
      "The cut found on Q4_1 (upto:3), there nearest in depth upto:2, is proven to lose more than the margin on Q8_0.",
    ]);
  });
  it("says where it was not scored", () => {
    const lacking = on("Q8_0", {
      ...results.selected,
      candidates: results.selected.candidates.filter(({ id }) => id !== "upto:3"),
      selected: null,
    });
    expect(sentences(on("Q4_1"), lacking)).toEqual(["The cut found on Q4_1 (upto:3) was not scored on Q8_0."]);
  });
});

test("the terminal's table fits every width and keeps name, cut and verdict", () => {
  const compared = [on("Q4_1"), on("Q8_0"), { ...on("Q8_0", results.large), adapter: results.large.adapter }];
  for (const width of [20, 33, 60, 80, 120]) {
    for (const unicode of [true, false]) {
      expect(tooWide(renderComparison(compared, { width, unicode }), width)).toEqual([]);
    }
  }
  expect(renderComparison(compared, { width: 120 })).toMatch(
    /^result +cut +layers +depth +kept \(bounds\) +samples +full gains +verdict\n/,
  );
  expect(renderComparison([on("Q4_1"), on("Q8_0")], { width: 40 })).toMatch(
    /^result +cut +verdict\nQ4_1 +upto:3 +not-worse\n/,
  );
});

test("a table gives up columns first, then cuts cells, and never grows", () => {
  const column = (title: string, cell: string, least: number, expendable: number) =>
    ({ title, align: "left", cells: [cell], least, expendable }) as const;
  const columns = [column("name", "a-long-name", 4, 0), column("value", "1234567890", 10, 1)];
  const table = (width: number) => textTable(columns, styleOf({ width }));
  expect(table(40)).toEqual(["name         value", "a-long-name  1234567890"]);
  expect(table(20)).toEqual(["name      value", "a-long-…  1234567890"]);
  expect(textTable(columns, { ...styleOf({ width: 20 }), width: 12 })).toEqual(["name", "a-long-name"]);
});

describe("CSV", () => {
  const rows = (text: string) => text.trimEnd().split("\n");
  it("has a row per candidate, unrounded", () => {
    const csv = rows(curveCsv([results.selected]));
    expect(csv).toHaveLength(1 + results.selected.candidates.length);
    expect(csv[0]).toMatch(/^model,quantization,adapter,data,id,family,adapted_layers,depth,samples,mean_nll,/);
    const chosen = results.selected.candidates.find(({ id }) => id === "upto:3")!;
    const row = csv.find((line) => line.includes(",upto:3,"))!;
    expect(row.split(",").slice(4, 10)).toEqual(["upto:3", "boundary", "3", "0.5", "80", String(chosen.mean)]);
    expect(row).toMatch(/,not-worse,1$/);
    expect(csv.at(-1)).toMatch(/,reference,0$/);
  });
  it("quotes, defuses formulas, and leaves out what is not known", () => {
    const odd = on("Q4_1", results.noGain);
    const csv = curveCsv([
      { ...odd, model: { ...odd.model, path: '=cmd|"x",\n' }, adapter: { ...odd.adapter, path: "-a" } },
    ]);
    expect(csv).toContain(`\n"'=cmd|""x"",\n",Q4_1,'-a,`);
    expect(csv).toContain(",,,,reference,0\n");
  });
});
