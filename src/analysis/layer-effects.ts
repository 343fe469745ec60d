import { scoredCount, type Sample } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreProgress, ScoreSessionOptions } from "../engine/session-types.js";
import type { Candidate } from "../lora/candidate.js";
import { maxTCriticalValue } from "../search/bootstrap.js";
import { independentUnits, requireSpread, unitMean } from "../search/units.js";
import { boundedMean } from "../search/verdicts.js";
import type { LayerEffects } from "./analysis.js";

export interface EffectOptions extends ScoreSessionOptions {
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number;
  /** Of the bootstrap; default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScoreProgress) => void;
}

/**
 * Leaves every covered layer out, and keeps every one alone; paired with the full adapter and the base model on the same
 * samples, bounds from one bootstrap over all of them.
 *
 * @throws InputError TOO_FEW_SAMPLES; MemoryError, BackendError, CancelledError
 */
export async function layerEffects(
  adapter: Adapter,
  samples: readonly Sample[],
  { confidence = 0.95, seed = 0, signal, onProgress, ...session }: EffectOptions = {},
): Promise<LayerEffects> {
  const units = independentUnits(
    samples.map(({ group }) => group),
    Int32Array.from(samples, scoredCount),
    false,
  );
  requireSpread(units);
  const covered = adapter.file.layers;
  const candidates = effectCandidates(adapter.model.layers, covered);
  await using scoring = adapter.openSession(samples, session);
  const scores = await scoring.score(candidates, { signal, onProgress });
  const of = (id: string): Float64Array => scores[candidates.findIndex((it) => it.id === id)] ?? new Float64Array();
  const difference = (from: Float64Array, to: Float64Array) =>
    unitMean(
      from.map((score, sample) => score - (to[sample] ?? NaN)),
      units,
    );
  const [full, base] = [of("full"), of("base")];
  const gain = difference(base, full);
  const layers = covered.map((layer) => ({
    layer,
    leftOut: difference(of(`without:${layer}`), full),
    alone: difference(base, of(`only:${layer}`)),
  }));
  const contrasts = [gain, ...layers.flatMap(({ leftOut, alone }) => [leftOut, alone])];
  const criticalValue = maxTCriticalValue(
    contrasts.flatMap(({ residuals, flat }) => (flat ? [] : [residuals])),
    units.count,
    { confidence, seed },
  );
  return {
    samples: samples.length,
    groups: units.count,
    confidence,
    criticalValue,
    gain: boundedMean(gain, criticalValue),
    layers: layers.map(({ layer, leftOut, alone }) => ({
      layer,
      leftOut: boundedMean(leftOut, criticalValue),
      alone: boundedMean(alone, criticalValue),
    })),
    passes: scoring.facts.passes,
  };
}

/** `full`, `base`, and per covered layer `without:l` and `only:l`; the pairs outside the layers go with the full adapter. */
export function effectCandidates(layers: number, covered: readonly number[]): readonly Candidate[] {
  const candidate = (id: string, outside: number, scaleOf: (layer: number) => number): Candidate => ({
    id,
    // Of no search: the engine does not look at it.
    family: "boundary",
    layerScales: Array.from({ length: layers }, (_, layer) => scaleOf(layer)),
    inputScale: outside,
    outputScale: outside,
  });
  return [
    candidate("full", 1, () => 1),
    candidate("base", 0, () => 0),
    ...covered.map((left) => candidate(`without:${left}`, 1, (layer) => (layer === left ? 0 : 1))),
    ...covered.map((only) => candidate(`only:${only}`, 0, (layer) => (layer === only ? 1 : 0))),
  ];
}
