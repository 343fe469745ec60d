import { describe, expect, it } from "vitest";
import { samplesLines } from "../../src/report/samples-view.js";
import { scalesStrip } from "../../src/report/scales-strip.js";
import { styleOf } from "../../src/report/text.js";
import type { CalibrationResult } from "../../src/result.js";
import { results, tooWide } from "../support/report-results.js";

function withScales(...layerScales: number[]): CalibrationResult {
  const { selected, candidates } = results.selected;
  const id = selected!.candidate.id;
  return { ...results.selected, candidates: candidates.map((it) => (it.id === id ? { ...it, layerScales } : it)) };
}

describe("the heat strip", () => {
  it("has one sign per layer, the darker the stronger", () => {
    const scales = withScales(0, 0.1, 0.3, 0.6, 0.9, 1, 1.2, -0.5);
    expect(scalesStrip(scales, styleOf({ width: 80 }))).toEqual([
      "strength of each layer",
      "0-7 |\u00b7\u2591\u2592\u2593\u2588\u2588^n|",
      "7 of 8 layers, kept ones from -0.5 to 1.2",
    ]);
    expect(scalesStrip(scales, styleOf({ width: 80, unicode: false }))[1]).toBe("0-7 | .-+##^n|");
  });

  it("goes on in further lines, each with its layers, and shows every layer once at any width", () => {
    const scales = withScales(...Array.from({ length: 83 }, (_, layer) => (layer < 40 ? 1 : 0)));
    expect(scalesStrip(scales, styleOf({ width: 40 }))).toEqual([
      "strength of each layer",
      ` 0-29 |${"\u2588".repeat(30)}|`,
      `30-59 |${"\u2588".repeat(10)}${"\u00b7".repeat(20)}|`,
      `60-82 |${"\u00b7".repeat(23)}|`,
      "40 of 83 layers, all kept ones at 1",
    ]);
    for (let width = 20; width <= 120; width++) {
      const lines = scalesStrip(scales, styleOf({ width }));
      expect(tooWide(lines.join("\n"), width)).toEqual([]);
      expect(lines.join("").match(/[\u2588\u00b7]/g)).toHaveLength(83);
    }
  });

  it("is not drawn where nothing is chosen", () => {
    expect(scalesStrip(results.unproven, styleOf({ width: 80 }))).toEqual([]);
  });
});

describe("sample by sample", () => {
  it("counts wins and losses of the chosen candidate and names the extremes by line", () => {
    const full = results.selected.candidates.at(-1)!.perSample;
    const chosen = results.selected.candidates.find(({ id }) => id === "upto:3")!.perSample;
    const gains = full.map((score, sample) => score! - chosen[sample]!);
    const text = samplesLines(results.selected, styleOf({ width: 500 })).join(" ");
    const wins = gains.filter((gain) => gain > 0).length;
    const best = Math.max(...gains);
    expect(text).toContain(`upto:3 predicts ${wins} of 80 better than the full adapter`);
    expect(text).toContain(`Most: +${best.toFixed(4)} in line ${gains.indexOf(best) + 1},`);
    expect(samplesLines(results.unproven, styleOf({ width: 80 }))).toEqual([]);
  });

  it("candidates that were dropped early are not compared", () => {
    const { candidates } = results.selected;
    const dropped = candidates.map((it) =>
      it.id === "upto:3" ? { ...it, samples: 79, perSample: [null, ...it.perSample.slice(1)] } : it,
    );
    expect(samplesLines({ ...results.selected, candidates: dropped }, styleOf({ width: 80 }))).toEqual([]);
  });
});
