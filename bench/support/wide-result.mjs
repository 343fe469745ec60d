import { boundaryCandidates } from "../../dist/index.js";
import { seededRandom } from "../../dist/search/resample.js";

/** A result of a deep model on many samples as `calibrate --json` writes it; its curve is made up, its size is true. */
export function wideResult(layers, samples) {
  const random = seededRandom(0, 1);
  const noise = () => random.nextUint32() / 2 ** 32 - 0.5;
  const covered = Array.from({ length: layers }, (_, layer) => layer);
  const level = Array.from({ length: samples }, () => 2 + noise());
  const candidates = boundaryCandidates(layers, covered).map(({ id, family, layerScales }, boundary) => {
    const loss = ((layers - boundary) / layers) ** 3;
    const verdict = loss < 0.01 ? "not-worse" : loss < 0.03 ? "unproven" : "worse";
    return {
      ...{ id, family, layerScales, adaptedLayers: boundary, samples, verdict, droppedAfter: null },
      ...{ mean: 2 + loss, sem: 0.01 },
      gainVsFull: { mean: -loss, low: -loss - 0.01, high: -loss + 0.01 },
      retention: { mean: 1 - loss, low: 0.99 - loss, high: 1.01 - loss },
      perSample: level.map((one) => one + loss + noise() * 0.05),
    };
  });
  const chosen = candidates.find(({ verdict }) => verdict === "not-worse");
  const gain = { mean: 1, low: 0.98, high: 1.02 };
  return {
    ...{ schema: "lora-boundary/calibration@1", version: "0.0.0", createdAt: "", command: [] },
    model: { path: "deep.gguf", sha256: "", fingerprint: "", architecture: "llama", layers, quantization: "Q4_1" },
    adapter: {
      ...{ path: "deep.lora.gguf", sha256: "", fingerprint: "", layers: covered, rank: 8, alpha: 16 },
      ...{ parameters: 20_000_000, bytes: 40_000_000 },
    },
    data: {
      ...{ path: null, sha256: "", samples, scoredTokens: 50_000, promptTokens: 50_000, groups: samples, seed: 0 },
      ...{ template: null, notices: [], lines: level.map((_, sample) => sample + 1) },
    },
    ...{ partial: null, objective: "nll", strategy: "exhaustive", goal: "economy", margin: 0.02, confidence: 0.95 },
    ...{ criticalValue: 3, gate: { passed: true, gain, failure: null, forced: false }, candidates },
    selected: {
      candidate: {
        ...{ id: chosen.id, layerScales: chosen.layerScales, boost: 1, globalScale: 1, inputScale: 1, outputScale: 0 },
      },
      ...{ verdict: "not-worse", reason: "Made up.", crossFitGain: chosen.gainVsFull },
    },
    noSelection: null,
    pareto: candidates.map(({ id, adaptedLayers, retention }) => ({ id, adaptedLayers, retention: retention.mean })),
    controls: { bestGlobalScale: null, noiseFloor: 0, selectedVsBest: null, explainsGain: false },
    ...{ subset: null, suggestion: null, output: null },
    engine: {
      ...{ llamaCpp: "0", backend: "CPU", threads: 1, replay: "exact", batchTokens: 512, loss: "graph" },
      ...{ flashAttention: "auto", cacheTypeK: "f16", cacheTypeV: "f16" },
    },
    cost: { passes: 41, naivePasses: 81, seconds: 100, tokensComputed: 1, tokensShared: 0 },
  };
}

/** What `analyze --json` would write of the same adapter, halves of layers included. */
export function layersResult(layers) {
  const all = Array.from({ length: layers }, (_, layer) => layer);
  const interval = (mean) => ({ mean, low: mean - 0.01, high: mean + 0.01 });
  const reading = (mean) => ({ mean, se: 0.02 });
  const effect = (layer) => ({ layer, leftOut: interval(layer / 1000), alone: interval(0.02 - layer / 5000) });
  const lens = all.map((layer) => ({
    ...{ layer, nll: reading(10 - layer / 10), probability: reading(layer / 100), rank: reading(90 - layer) },
  }));
  return {
    ...{ schema: "lora-boundary/analysis@1", version: "0.0.0", createdAt: "", command: [] },
    adapter: { path: "deep.lora.gguf", fingerprint: "", layers: all, rank: 8, alpha: 16 },
    model: { path: "deep.gguf", layers, quantization: "Q4_1" },
    data: { path: null, sha256: "", seed: 0 },
    norms: all.map((layer) => ({ layer, norm: 5, attention: 3, feedForward: 4, skipped: [] })),
    effects: {
      ...{ samples: 1000, groups: 1000, confidence: 0.95, criticalValue: 3.4, gain: interval(1), passes: 160 },
      layers: all.map(effect),
      modules: all.flatMap((layer) => ["attention", "ffn"].map((part) => ({ ...effect(layer), part }))),
    },
    lens: { base: lens, full: lens, knee: 70, samples: 1000 },
    notices: [],
  };
}
