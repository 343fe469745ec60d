import type { CalibrationResult } from "../../src/result.js";
import type { Conclusion } from "../../src/search/conclude.js";

/** A whole result object around a conclusion, with the facts that a report shows set to recognisable values. */
export function resultOf(
  conclusion: Conclusion,
  changes: Partial<Omit<CalibrationResult, "schema">> = {},
): CalibrationResult {
  // The judgement is no part of the result object.
  const { judgement, ...answer } = conclusion;
  const { table, units } = judgement;
  return {
    schema: "lora-boundary/calibration@1",
    version: "0.0.0",
    createdAt: "2025-01-01T00:00:00.000Z",
    command: ["lora-boundary", "calibrate"],
    model: {
      path: "base.gguf",
      sha256: "",
      fingerprint: "",
      architecture: "llama",
      layers: table.candidates[0]!.layerScales.length,
      quantization: "Q4_1",
    },
    adapter: {
      path: "adapter.gguf",
      sha256: "",
      fingerprint: "",
      layers: judgement.options.coveredLayers,
      rank: 8,
      alpha: 16,
      parameters: 2_000_000,
      bytes: 9_800_000,
    },
    data: {
      path: "samples.jsonl",
      sha256: "",
      samples: table.groups.length,
      scoredTokens: 4_700,
      promptTokens: 5_000,
      groups: units.count,
      seed: 0,
      template: null,
      notices: [],
      lines: table.groups.map((_, sample) => sample + 1),
    },
    partial: null,
    objective: "nll",
    strategy: "exhaustive",
    subset: null,
    suggestion: null,
    ...answer,
    output: null,
    engine: {
      llamaCpp: "0.5.0",
      backend: "CPU",
      threads: 2,
      replay: "exact",
      batchTokens: 512,
      loss: "host",
      flashAttention: "auto",
      cacheTypeK: "f16",
      cacheTypeV: "f16",
    },
    cost: { passes: 16.4, naivePasses: 31, seconds: 12.3, tokensComputed: 160_000, tokensShared: 0 },
    ...changes,
  };
}
