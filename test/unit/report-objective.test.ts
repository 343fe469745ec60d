import { describe, expect, test } from "vitest";
import { verdictSentence } from "../../src/report/sentence.js";
import { renderCalibration } from "../../src/report/terminal.js";
import { results } from "../support/report-results.js";

const render = (result: Parameters<typeof renderCalibration>[0]) => renderCalibration(result, { width: 200 });

describe("an objective other than the loss", () => {
  test("kl: the headline says likeness and not quality, the column is KL, and a sentence says why", () => {
    const result = { ...results.selected, objective: "kl" };
    expect(verdictSentence(result)).toMatch(/^Likeness to the full adapter, not quality\. Keep LoRA in layers/);
    expect(verdictSentence(result)).toMatch(/98\.0 % of what the adapter changes on 80 samples/);
    const page = render(result);
    expect(page).toMatch(/cut +layers +KL +gain/);
    expect(page.replaceAll("\n", " ")).toContain("nothing can be better");
    expect(page).not.toContain("NLL");
  });

  test("a metric: its name, its direction, its unit everywhere", () => {
    const result = {
      ...results.better,
      objective: "bleu",
      objectiveScale: { higherIsBetter: true, unit: "points of 100" },
    };
    const page = render(result);
    expect(page).toMatch(/cut +layers +bleu +gain/);
    expect(page).toContain(
      "Objective bleu: of the answers that each candidate writes, higher is better, in points of 100.",
    );
    expect(page).not.toContain("nats per token");
    expect(page.match(/points of 100/g)!.length).toBeGreaterThanOrEqual(4);
    expect(render({ ...result, objectiveScale: { higherIsBetter: false, unit: "edits" } })).toContain(
      "lower is better, in edits",
    );
  });

  test("in-sample is said in the headline, after a failed gate as well", () => {
    for (const result of [results.selected, results.unproven, results.noGain]) {
      expect(verdictSentence({ ...result, inSample: true })).toMatch(
        /^In-sample: the adapter was trained on these samples\. /,
      );
      expect(verdictSentence({ ...result, inSample: false })).toBe(verdictSentence(result));
    }
  });

  test("the loss on the samples needs no explanation", () => {
    expect(render(results.selected)).not.toContain("Objective");
    expect(render(results.selected)).toContain("NLL and gain in nats per token");
  });
});
