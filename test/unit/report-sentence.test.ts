import { describe, expect, test } from "vitest";
import { controlSentence, gateCauses, verdictSentence } from "../../src/report/sentence.js";
import type { CalibrationResult } from "../../src/result.js";
import { kinds, results } from "../support/report-results.js";

const { selected, better, explained } = results;
const interval = (low: number, mean: number, high: number) => ({ mean, low, high });

/** The selected result with another shape and size of the chosen cut. */
function chosen(id: string, layerScales: readonly number[], more: Partial<CalibrationResult> = {}): string {
  const { candidate } = selected.selected!;
  return verdictSentence({
    ...selected,
    selected: { ...selected.selected!, candidate: { ...candidate, id, layerScales } },
    ...more,
  });
}

test.each(kinds)("%s: one line of plain ASCII that ends as a sentence", (_, result) => {
  expect(verdictSentence(result)).toMatch(/^[\x20-\x7e]+\.$/);
  expect(verdictSentence(result)).not.toMatch(/NaN|undefined|null|Infinity/);
});

describe("a cut is chosen", () => {
  test("not worse: what it keeps, on how much data", () => {
    expect(verdictSentence(selected)).toContain(
      "Keep LoRA in layers 0 to 2 (upto:3): 3 of 6 adapted layers are enough, proven to keep at least 98.0 % of what the adapter brings on 80 samples.",
    );
  });

  test("better", () => {
    expect(verdictSentence(better)).toContain(
      "3 of 5 adapted layers are enough, proven better than the full adapter on 80 samples.",
    );
  });

  test("one layer, a shape that is no boundary, no layer at all", () => {
    expect(chosen("upto:1", [1, 0, 0, 0, 0, 0])).toMatch(
      /^Keep LoRA in layer 0 \(upto:1\): 1 of 6 adapted layers is enough,/,
    );
    expect(chosen("without:1", [1, 0, 1, 1, 1, 1])).toMatch(/^without:1: /);
    expect(chosen("upto:3*1.3", [1.3, 1.3, 1.3, 0, 0, 0])).toMatch(/^upto:3\*1\.3: /);
  });

  test("the size of the gain claims no more than its interval", () => {
    const said = (gain: CalibrationResult["gate"]["gain"]) =>
      verdictSentence({ ...selected, selected: { ...selected.selected!, crossFitGain: gain } });
    expect(said(interval(0.01, 0.02, 0.03))).toContain("it gains 0.0200 nats per token (between 0.0100 and 0.0300).");
    expect(said(interval(-0.03, -0.02, -0.01))).toContain(
      "it costs 0.0200 nats per token (gain between -0.0300 and -0.0100).",
    );
    for (const open of [interval(-0.01, 0.02, 0.03), interval(0, 0, 0), interval(0, 0.01, 0.02)]) {
      expect(said(open)).toContain("which may be none");
    }
  });

  test("forced past a failed gate: that comes first", () => {
    expect(verdictSentence(results.forced)).toMatch(
      /^Forced past a failed gate: the adapter is not proven to help on these samples\. Keep LoRA in layer 0 \(upto:1\)/,
    );
    expect(verdictSentence(results.forcedNothing)).toMatch(/^Forced past a failed gate: .*nothing is written\.$/);
  });
});

describe("nothing is chosen", () => {
  test("worse and unproven: the reason with its number, and what follows", () => {
    for (const result of [results.worse, results.unproven]) {
      expect(verdictSentence(result)).toBe(
        `${result.noSelection!.sentence} The full adapter stays; nothing is written.`,
      );
    }
    expect(verdictSentence(results.worse)).toMatch(/^Every cut loses at least \d+\.\d % of the adapter's gain\./);
    expect(verdictSentence(results.unproven)).toContain(
      `about ${results.unproven.noSelection!.samplesNeeded!} samples`,
    );
    expect(verdictSentence({ ...results.worse, noSelection: null })).toMatch(/^No cut is proven\. /);
  });
});

describe("the gate failed", () => {
  test("no gain: proven, with the numbers", () => {
    const { low, high } = results.noGain.gate.gain;
    expect(high).toBeLessThan(0);
    expect(verdictSentence(results.noGain)).toBe(
      `The full adapter is proven no better than the base model on these samples (gain ${results.noGain.gate.gain.mean.toFixed(4)} nats per token, between ${low.toFixed(4)} and ${high.toFixed(4)}), so there is nothing to keep.`,
    );
  });

  test("too few: not proven, and it does not say that the adapter is useless", () => {
    expect(verdictSentence(results.tooFew)).toMatch(
      /^6 samples cannot tell whether the full adapter beats the base model at all \(gain /,
    );
  });

  test("causes: none after a passed gate, likeliest first otherwise", () => {
    expect(gateCauses(selected)).toEqual([]);
    expect(gateCauses(results.tooFew)[0]).toMatch(/^there are too few samples/);
    expect(gateCauses(results.noGain)).not.toContain(gateCauses(results.tooFew)[0]);
    expect(gateCauses(results.noGain)[0]).toContain("merged into it");
    expect(gateCauses(results.forced)).toEqual(gateCauses(results.noGain));
  });
});

describe("controlSentence", () => {
  test("none where no control was run", () => {
    expect(controlSentence(selected)).toBeNull();
  });

  test("a cut that beats the best scale, and one that the scale explains", () => {
    expect(controlSentence(better)).toMatch(
      /^Control: of the global scales, scale:[\d.]+ gains .* The cut beats it\.$/,
    );
    expect(controlSentence(explained)).toMatch(/so the gain is not the cut's\.$/);
  });

  test("a difference that is not proven is not called a win", () => {
    const controls = { ...better.controls, selectedVsBest: interval(-0.01, 0.02, 0.05) };
    expect(controlSentence({ ...better, controls })).toMatch(/part or all of the gain may not be the cut's\.$/);
    const touching = { ...better.controls, selectedVsBest: interval(0, 0.02, 0.05) };
    expect(controlSentence({ ...better, controls: touching })).not.toContain("The cut beats it");
  });

  test("a cut that is only not worse, or none, has no gain to discuss", () => {
    const { controls } = better;
    for (const chosenCut of [selected.selected, null]) {
      expect(controlSentence({ controls, selected: chosenCut })).toMatch(/^Control: .*\)\.$/);
    }
  });
});
