import { describe, expect, it } from "vitest";
import type { Analysis } from "../../src/analysis/analysis.js";
import { renderAnalysis } from "../../src/report/analysis.js";
import { violations } from "../support/json-schemas.js";
import { tooWide } from "../support/report-results.js";

const LAYERS = Array.from({ length: 12 }, (_, layer) => layer);
const interval = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });
const reading = (mean: number) => ({ mean, se: 0.01 });
const readings = LAYERS.map((layer) => ({
  layer,
  nll: reading(12 - layer),
  probability: reading(layer / 20),
  rank: reading(100 / (layer + 1)),
}));

const bare: Analysis = {
  schema: "lora-boundary/analysis@1",
  version: "0.0.0",
  createdAt: "2025-01-01T00:00:00.000Z",
  command: ["lora-boundary", "analyze"],
  adapter: { path: "a.gguf", fingerprint: "f00d", layers: LAYERS, rank: 8, alpha: 16 },
  model: null,
  data: null,
  norms: LAYERS.map((layer) => ({
    layer,
    norm: layer + 1,
    attention: 0.6 * layer,
    feedForward: 0.8 * layer,
    skipped: [],
  })),
  effects: null,
  lens: null,
  notices: ["A notice\u001b[2J of a file"],
};
const whole: Analysis = {
  ...bare,
  model: { path: "b.gguf", layers: 12, quantization: "Q4_0" },
  data: { path: "s.jsonl", sha256: "", seed: 0 },
  effects: {
    samples: 20,
    groups: 18,
    confidence: 0.95,
    criticalValue: 3.1,
    gain: interval(1.5),
    layers: LAYERS.map((layer) => ({ layer, leftOut: interval(layer / 10 - 0.33), alone: interval(0.2) })),
    modules: null,
    passes: 12.34,
  },
  lens: { base: readings, full: readings, knee: 10, samples: 20 },
};

describe("an analysis", () => {
  it("without data is a guess and says so", () => {
    const text = renderAnalysis(bare, { width: 80 });
    expect(text).toMatch(/^layer +norm +attention +MLP\n +0 +1\.000 {2}\u2588 /);
    expect(text.replaceAll(/\s+/g, " ")).toContain("Norms are a guess");
    expect(text).not.toContain("left out costs");
    expect(text).toContain("A notice\\x1b[2J of a file");
  });

  it("with data has effects with bounds, the lens, its knee as a hint", () => {
    const text = renderAnalysis(whole, { width: 110 });
    expect(text).toMatch(/\n +0 .* -0\.3300 \u00b10\.1000 +\+0\.2000 \u00b10\.1000\n/);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "Proven to earn something where they are: 5, 6, 7, 8, 9, 10, 11. Proven to harm: 0, 1, 2.",
    );
    expect(text).toMatch(/layer +NLL, base +NLL, adapter +probability +rank\n +0 +12\.000 \u00b10\.010/);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "From layer 10 on nine tenths of the adapter's fall are made: a hint",
    );
  });

  it("fits every width, in ASCII too", () => {
    for (const analysis of [bare, whole]) {
      for (const width of [20, 33, 50, 80, 200]) {
        expect(tooWide(renderAnalysis(analysis, { width }), width)).toEqual([]);
        const ascii = renderAnalysis(analysis, { width, unicode: false });
        expect(tooWide(ascii, width)).toEqual([]);
        expect(ascii).toMatch(/^[\n\x20-\x7e]*$/);
        expect(ascii).not.toMatch(/NaN|undefined/);
      }
    }
  });

  it("keeps to its published schema", () => {
    expect(violations(bare)).toEqual([]);
    expect(violations(whole)).toEqual([]);
  });
});
