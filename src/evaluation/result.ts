import type { CalibrationResult, Interval } from "../result.js";
import type { SpeedReport } from "./speed-report.js";

/** Per-sample differences of one metric between a candidate and a reference; above 0 the candidate is better. */
export interface Comparison {
  /** With bounds that hold for every comparison of the result together. */
  readonly gain: Interval;
  /** Samples on which the candidate is better, worse, the same. */
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
}

/** One candidate by one metric, on the metric's own scale. */
export interface MetricScore {
  readonly metric: string;
  /** Mean over samples of the per-sample score. */
  readonly mean: number;
  readonly sem: number;
  /** Figure of the whole set where that is no mean (corpus BLEU, corpus chrF); else null. */
  readonly corpus: number | null;
  /** The difference of that figure from the full adapter's, by the jackknife; null where it cannot be bounded. */
  readonly corpusVsFull: Interval | null;
  /** Null for the reference itself. */
  readonly vsFull: Comparison | null;
  readonly vsBase: Comparison | null;
  readonly perSample: readonly number[];
}

export interface EvaluatedCandidate {
  readonly id: string;
  readonly layerScales: readonly number[];
  /** Of the feed-forward pairs, where they differ; then `layerScales` are those of the attention pairs. */
  readonly feedForwardScales?: readonly number[];
  readonly adaptedLayers: number;
  /** One per sample; null where no metric needed answers. */
  readonly answers: readonly string[] | null;
  readonly scores: readonly MetricScore[];
}

/** The result object, schema `lora-boundary/evaluation@1`. Plain JSON; fields are added, never renamed. */
export interface EvaluationResult {
  readonly schema: "lora-boundary/evaluation@1";
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly model: { readonly path: string };
  readonly adapter: { readonly path: string };
  readonly data: {
    readonly path: string | null;
    readonly sha256: string;
    readonly samples: number;
    readonly groups: number;
    /** Per sample, in the order of `answers` and `perSample`: its line in the file, or its place in the array. */
    readonly lines: readonly number[];
    readonly references: readonly (readonly string[])[] | null;
    readonly notices: readonly string[];
  };
  readonly metrics: readonly {
    readonly name: string;
    readonly higherIsBetter: boolean;
    readonly unit: string;
  }[];
  readonly confidence: number;
  /** Half-width of every bound, in standard errors: one bootstrap over all metrics, candidates and both references. */
  readonly criticalValue: number;
  /** The base model first, then the full adapter, then the others as asked for. */
  readonly candidates: readonly EvaluatedCandidate[];
  /** Where a calibration chose the candidates: which of these samples it had seen. Null without `--from`. */
  readonly chosenOn: { readonly path: string; readonly sharedLines: readonly number[] } | null;
  /** Where something has ended it before all samples were answered: of how many, and what. Null: nothing has. */
  readonly partial: { readonly ofSamples: number; readonly cause: "cancelled" | "failed" } | null;
  /** What they cost on this machine; only where asked for (`--speed`). */
  readonly speed?: SpeedReport;
}

/** Of a calibration, what an evaluation reads. */
export type CalibrationChoice = Pick<CalibrationResult, "candidates" | "selected"> & {
  readonly data: Pick<CalibrationResult["data"], "sha256" | "lines">;
  readonly model: { readonly layers: number };
};
