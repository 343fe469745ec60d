import { describe, expect, test } from "vitest";
import { curveTable } from "../../src/report/curve-table.js";
import { renderCalibration } from "../../src/report/terminal.js";
import { styleOf } from "../../src/report/text.js";
import { disagreements, twoCurvesSentence } from "../../src/report/two-curves.js";
import type { CalibrationResult, Verdict } from "../../src/result.js";
import { results, tooWide } from "../support/report-results.js";

/** The losses of each candidate keep `share` of what its answers keep. */
function withLosses(share: number, verdict: Verdict = "worse"): CalibrationResult {
  const { selected } = results;
  return {
    ...selected,
    objective: "rouge-l",
    objectiveScale: { higherIsBetter: true, unit: "points of 1" },
    candidates: selected.candidates.map((candidate) => {
      const { mean, low, high } = candidate.retention!;
      const cut = !["upto:0", "upto:6"].includes(candidate.id);
      const factor = cut ? share : 1;
      const retention = { mean: mean * factor, low: low * factor, high: high * factor };
      return { ...candidate, nll: { mean: 2, retention, verdict: cut ? verdict : "not-worse" } };
    }),
  };
}

describe("answers and losses side by side", () => {
  test("a candidate is named where its two retentions have bounds that do not meet", () => {
    const apart = withLosses(0.5);
    expect(disagreements(apart).map(({ id, answersKeep }) => [id, answersKeep])).toEqual(
      ["upto:1", "upto:2", "upto:3", "upto:4", "upto:5"].map((id) => [id, "more"]),
    );
    const sentence = twoCurvesSentence(apart)!;
    expect(sentence).toMatch(/^NLL and rouge-l disagree beyond their bounds: by rouge-l these candidates keep more/);
    expect(sentence).toMatch(/upto:5 \(\d+\.\d % against \d+\.\d %\), and 1 more\./);
    expect(sentence).toContain("NLL alone would have called worse what rouge-l does not: upto:3, upto:4, upto:5.");
    expect(twoCurvesSentence(withLosses(2, "unproven"))).toContain("keep less of the gain");
  });

  test("agreement is said as well; a candidate that left a race is not compared", () => {
    const alike = withLosses(1, "unproven");
    expect(disagreements(alike)).toEqual([]);
    expect(twoCurvesSentence(alike)).toBe(
      "NLL and rouge-l agree on every candidate within their bounds. NLL only ordered the candidates; nothing was discarded by it.",
    );
    const apart = withLosses(0.5);
    const dropped = apart.candidates.map((candidate) => ({ ...candidate, droppedAfter: 8 }));
    expect(disagreements({ candidates: dropped })).toEqual([]);
    expect(twoCurvesSentence(results.selected)).toBeNull();
    const gateFailed = apart.candidates.map((candidate) => ({ ...candidate, retention: null }));
    expect(twoCurvesSentence({ ...apart, candidates: gateFailed })).toBeNull();
  });

  test("one table holds both curves, at every width", () => {
    const apart = withLosses(0.5);
    expect(curveTable(apart, styleOf({ width: 120 }))[0]).toMatch(/kept % \(bounds\) +NLL kept % +verdict/);
    for (let width = 20; width <= 160; width++) {
      expect(tooWide(curveTable(apart, styleOf({ width })).join("\n"), width)).toEqual([]);
    }
    const generation = {
      ...{ steps: 1200, tokensComputed: 9000, tokensWritten: 4000 },
      ...{ draftsProposed: 3000, draftsAccepted: 2500, seconds: 60 },
    };
    const page = renderCalibration({ ...apart, cost: { ...apart.cost, generation } }, { width: 300 });
    expect(page).toContain("4,000 tokens written in 1,200 steps; 2,500 of 3,000 drafts were right.");
  });
});
