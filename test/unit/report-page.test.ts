import { describe, expect, it, test } from "vitest";
import { renderAnalysisPage } from "../../src/report/page/analysis-page.js";
import { analysisCharts } from "../../src/report/page/analysis-sections.js";
import { chartFile } from "../../src/report/page/chart-file.js";
import { renderComparisonPage } from "../../src/report/page/comparison-page.js";
import { WIDE } from "../../src/report/page/frame.js";
import { escaped, markup } from "../../src/report/page/markup.js";
import { chartsOf, renderPage } from "../../src/report/page/result-page.js";
import type { CalibrationResult } from "../../src/result.js";
import { conclude } from "../../src/search/conclude.js";
import { bareAnalysis, halvesAnalysis, wholeAnalysis } from "../support/report-analyses.js";
import { kinds, results } from "../support/report-results.js";
import { allLayers, curveTable } from "../support/search-curves.js";
import { resultOf } from "../support/search-result.js";

const TAGS =
  "html head meta title style body header main footer section script p h1 h2 h3 dl dt dd div small span br code pre ol ul li figure details summary table caption thead tbody tr th td svg g path line text circle rect".split(
    " ",
  );
const ATTRIBUTES =
  /^(lang|charset|name|content|http-equiv|class|role|tabindex|aria-[a-z]+|scope|dir|data-print|xmlns|viewBox|[xydr]|[xy][12]|c[xy]|dy|width|height|transform|fill-opacity)$/;

/** Tags and attributes that could load, run or send something: all but those that a page is made of. */
function foreign(page: string): readonly string[] {
  const [, script = ""] = /<script>([^]*?)<\/script>/.exec(page) ?? [];
  const [, style = ""] = /<style>([^]*?)<\/style>/.exec(page) ?? [];
  // Quotes in text are escaped, so what is between two is a value.
  const bare = page
    .replace(script, "")
    .replace(style, "")
    .replaceAll(/"[^"]*"/g, '""');
  const tags = bare.match(/<[a-z][^>]*>/gi) ?? [];
  const names = tags.map((tag) => /^<([a-z0-9]+)/i.exec(tag)?.[1] ?? tag).filter((name) => !TAGS.includes(name));
  const attributes = tags.flatMap((tag) =>
    tag
      .slice(1, -1)
      .split(/[\s/]+/)
      .slice(1),
  );
  const strange = attributes.map((it) => it.replace('=""', "")).filter((it) => it !== "" && !ATTRIBUTES.test(it));
  return [...names, ...strange, ...(style.match(/url\(|@import/gi) ?? [])];
}

const text = (page: string) => page.replace(/<style>[^]*?<\/style>|<script>[^]*?<\/script>|<[^>]+>/g, " ");

describe.each(kinds)("%s", (_, result) => {
  const page = renderPage(result);

  it("is one page that loads nothing and has one script", () => {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(foreign(page)).toEqual([]);
    expect(page.match(/<script>/g)).toHaveLength(1);
  });

  it("has no broken number", () => {
    expect(text(page)).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(page).not.toMatch(/="[^"]*(?:NaN|undefined|Infinity)[^"]*"/);
  });

  it("has a table behind every chart", () => {
    const figures = page.split("<figure>").slice(1);
    for (const part of figures) expect(part).toMatch(/<\/figure>\s*<details/);
    expect(page.match(/role="img" aria-label="[^"]{10,}"/g)?.length ?? 0).toBe(2 * figures.length);
  });

  it("every chart is a file of its own", () => {
    for (const chart of chartsOf(result)) {
      expect(chartFile(chart)).toMatch(
        /^<\?xml [^>]+>\n<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox[^]+<style>[^]+<\/svg>\n$/,
      );
    }
  });
});

describe("layers", () => {
  it("an analysis is a page: lens, effects and norms, with the numbers behind them", () => {
    for (const [analysis, figures] of [
      [bareAnalysis, 1],
      [wholeAnalysis, 5],
      [halvesAnalysis, 5],
    ] as const) {
      const page = renderAnalysisPage(analysis);
      expect(foreign(page)).toEqual([]);
      expect(text(page)).not.toMatch(/NaN|undefined|Infinity|\[object/);
      expect(page.split("<figure>")).toHaveLength(1 + figures);
      expect(analysisCharts(analysis)).toHaveLength(figures);
      expect(page).toContain("A notice\\x1b[2J of a file");
    }
    expect(text(renderAnalysisPage(bareAnalysis))).toContain("A guess, made without samples");
    const page = text(renderAnalysisPage(halvesAnalysis));
    for (const part of [
      "7 of 12 layers proven to earn something",
      "The knee is at layer 10",
      "-0.0300 (-0.1300 to +0.0700)",
    ]) {
      expect(renderAnalysisPage(halvesAnalysis) + page).toContain(part);
    }
  });

  it("go with a calibration of their adapter", () => {
    const page = text(renderPage(results.selected, { analysis: wholeAnalysis }));
    const order = ["The curve", "The lens", "What each layer does", "What each layer writes", "How to reproduce"];
    const places = order.map((part) => page.indexOf(part));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(text(renderPage(results.selected))).not.toContain("The lens");
  });

  it("subsets stand beside boundaries, with and without boost, and beside random ones", () => {
    const page = text(renderPage(results.subset));
    for (const part of ["subset without boost, estimate", "random subset of the size", "boundary+boost"]) {
      expect(page).toContain(part);
    }
    const chart = chartsOf(results.subset).find(({ name }) => name === "families")!;
    // Per size one without boost and three random ones.
    expect(
      chart
        .draw(WIDE)
        .toString()
        .match(/class="estimate"/g),
    ).toHaveLength(3 * 4);
    expect(page).toMatch(/Subsets, size by size\s+Each half of the samples judged/);
    expect(page).toMatch(/layers out\s+boost\s+kept % \(bounds\)\s+verdict\s+no boost\s+random\s+boundary\s+boosted/);
    // 80 %, and the mean of 0.7, 0.4 and -2.
    expect(page).toMatch(/1\s+1\.20\s+[\d.]+ \([\d.]+ to [\d.]+\)\s+\S+\s+80\.0\s+-30\.0\s/);
  });
});

test("the answer stands on top, the evidence under it", () => {
  const page = text(renderPage(results.selected));
  const order = [
    "3 of 6 layers are enough",
    "Keep LoRA in layers 0 to 2",
    "The curve",
    "Close to the margin",
    "Layer by layer",
    "Sample by sample",
    "Model, data, machine",
    "How to reproduce",
  ];
  const places = order.map((part) => page.indexOf(part));
  expect(places.every((place) => place >= 0)).toBe(true);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(text(renderPage(results.noGain))).toContain("The adapter does not help here");
  expect(text(renderPage(results.worse))).toContain("Every cut loses quality");
  expect(text(renderPage(results.better))).toContain("Families and controls");
});

test("every candidate's numbers are in the tables", () => {
  const page = renderPage(results.selected);
  for (const { id, mean } of results.selected.candidates) {
    expect(page).toContain(`${id}</th>`);
    expect(page).toContain(mean.toFixed(4));
  }
});

describe("hostile text", () => {
  const attacks = [
    `</script><script>alert(1)</script>`,
    `"><img src=x onerror=alert(1)>`,
    `' onload='alert(1)`,
    "\u202egnp.exe\u202c \u0000 \u001b[2J",
    "<!-- --> ]]> &lt;b&gt; {{x}} ${y}",
  ];
  it.each(attacks)("%j is shown, never obeyed", (attack) => {
    const from = results.selected;
    const poisoned: CalibrationResult = {
      ...from,
      command: ["lora-boundary", attack],
      model: { ...from.model, path: attack, architecture: attack, quantization: attack },
      adapter: { ...from.adapter, path: attack },
      data: { ...from.data, path: attack, notices: [attack] },
      candidates: from.candidates.map((it) => ({ ...it, id: it.id + attack })),
      selected: {
        ...from.selected!,
        candidate: { ...from.selected!.candidate, id: from.selected!.candidate.id + attack },
      },
      engine: { ...from.engine, llamaCpp: attack, backend: attack },
    };
    const texts = new Map(from.data.lines.map((line) => [line, { prompt: attack, completion: attack }]));
    for (const page of [renderPage(poisoned, { texts, notices: [attack] }), renderComparisonPage([poisoned, from])]) {
      expect(foreign(page)).toEqual([]);
      expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]/);
      expect(page).toContain(escaped(attack));
    }
  });

  it("values are escaped wherever they stand", () => {
    expect(markup`<p title="${`a"b`}">${"<i>"}${markup`<b>${"&"}</b>`}${null}${[1, "'"]}</p>`.toString()).toBe(
      `<p title="a&quot;b">&lt;i&gt;<b>&amp;</b>1&#39;</p>`,
    );
  });
});

test("80 layers and 1,000 samples: under 1 MB, in under a second", () => {
  const losses = Array.from({ length: 81 }, (_, b) => ((80 - b) / 80) ** 3);
  const table = curveTable({ losses, samples: 1000, seed: 5, step: 0.003 });
  const large = resultOf(conclude(table, { coveredLayers: allLayers(80) }));
  const long = "x".repeat(600);
  const texts = new Map(large.data.lines.map((line) => [line, { prompt: long, completion: long }]));
  const start = performance.now();
  const page = renderPage(large, { texts });
  expect(performance.now() - start).toBeLessThan(1000);
  expect(page.length).toBeLessThan(1_000_000);
  expect(page.length).toBeGreaterThan(100_000);
});

describe("several results", () => {
  const q8: CalibrationResult = { ...results.selected, model: { ...results.selected.model, quantization: "Q8_0" } };
  it("are one page: table, curves and whether the cut of one holds on the other", () => {
    const page = text(renderComparisonPage([results.selected, q8]));
    expect(page).toContain("One cut for all: upto:3");
    expect(page).toContain("The cut found on Q4_1 (upto:3) is proven right on Q8_0 too.");
    expect(foreign(renderComparisonPage([results.selected, q8]))).toEqual([]);
  });

  it("of models that differ in depth stand at their share of the layers", () => {
    const page = text(renderComparisonPage([results.selected, results.large]));
    expect(page).toContain("boundaries stand at their share of the layers");
    expect(page).toContain("share of the layers that keep their LoRA, %");
    expect(page).toMatch(/there nearest in depth upto:\d+,/);
  });
});
