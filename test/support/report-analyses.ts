import type { Analysis } from "../../src/analysis/analysis.js";

const LAYERS = Array.from({ length: 12 }, (_, layer) => layer);
const interval = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });
const reading = (mean: number) => ({ mean, se: 0.01 });
const readings = LAYERS.map((layer) => ({
  layer,
  nll: reading(12 - layer),
  probability: reading(layer / 20),
  rank: reading(100 / (layer + 1)),
}));

/** Without data. */
export const bareAnalysis: Analysis = {
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
export const wholeAnalysis: Analysis = {
  ...bareAnalysis,
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

/** Attention and feed-forward pairs too. */
export const halvesAnalysis: Analysis = {
  ...wholeAnalysis,
  effects: {
    ...wholeAnalysis.effects!,
    modules: LAYERS.flatMap((layer) => [
      { layer, part: "attention" as const, leftOut: interval(layer / 100), alone: interval(0.1) },
      { layer, part: "ffn" as const, leftOut: interval(0 - layer / 100), alone: interval(0.05) },
    ]),
  },
};
