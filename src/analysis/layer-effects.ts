import { scoredCount, type Sample } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreProgress, ScoreSessionOptions } from "../engine/session-types.js";
import type { Candidate } from "../lora/candidate.js";
import type { Part } from "../lora/lora-pair.js";
import { maxTCriticalValue } from "../search/bootstrap.js";
import { independentUnits, requireSpread, unitMean } from "../search/units.js";
import { boundedMean } from "../search/verdicts.js";
import type { LayerEffects } from "./analysis.js";

export interface EffectOptions extends ScoreSessionOptions {
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScoreProgress) => void;
}

/**
 * Leaves every covered layer out, and keeps every one alone; paired with the full adapter and the base model on the same
 * samples, bounds from one bootstrap over all of them. With an adapter loaded `per: "module"` also every half of a layer.
 *
 * @throws InputError TOO_FEW_SAMPLES; MemoryError, BackendError, CancelledError
 */
export async function layerEffects(
  adapter: Adapter,
  samples: readonly Sample[],
  { confidence = 0.95, signal, onProgress, ...session }: EffectOptions = {},
): Promise<LayerEffects> {
  const units = independentUnits(
    samples.map(({ group }) => group),
    Int32Array.from(samples, scoredCount),
    false,
  );
  requireSpread(units);
  const parts: readonly EffectUnit[] = [
    ...adapter.file.layers.map((layer) => ({ layer, part: null })),
    ...adapter.units.filter(({ part }) => part !== null),
  ];
  const candidates = effectCandidates(adapter.model.layers, parts);
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
  const differences = parts.map((part) => ({
    part,
    leftOut: difference(of(`without:${unitName(part)}`), full),
    alone: difference(base, of(`only:${unitName(part)}`)),
  }));
  const contrasts = [gain, ...differences.flatMap(({ leftOut, alone }) => [leftOut, alone])];
  const criticalValue = maxTCriticalValue(
    contrasts.flatMap(({ residuals, flat }) => (flat ? [] : [residuals])),
    units.count,
    { confidence, seed: session.seed ?? 0 },
  );
  const effects = differences.map(({ part: { layer, part }, leftOut, alone }) => ({
    layer,
    part,
    leftOut: boundedMean(leftOut, criticalValue),
    alone: boundedMean(alone, criticalValue),
  }));
  return {
    samples: samples.length,
    groups: units.count,
    confidence,
    criticalValue,
    gain: boundedMean(gain, criticalValue),
    layers: effects.flatMap(({ part, ...effect }) => (part === null ? effect : [])),
    modules:
      adapter.per === "module"
        ? effects.flatMap(({ part, ...effect }) => (part === null ? [] : { ...effect, part }))
        : null,
    passes: scoring.facts.passes,
  };
}

/** A layer, or one half of it. */
export type EffectUnit = Adapter["units"][number];

/**
 * `full`, `base`, and per layer or half `without:7`, `only:attention:7`; the pairs outside the layers go with the full adapter.
 */
export function effectCandidates(layers: number, units: readonly EffectUnit[]): readonly Candidate[] {
  const candidate = (id: string, outside: number, inside: EffectUnit | null): Candidate => {
    const scales = (half: Part) =>
      Array.from({ length: layers }, (_, layer) =>
        layer === inside?.layer && (inside.part ?? half) === half ? 1 - outside : outside,
      );
    const [layerScales, feedForwardScales] = [scales("attention"), scales("ffn")];
    return {
      id,
      // Of no search: the engine does not look at it.
      family: "boundary",
      layerScales,
      ...(inside !== null && inside.part !== null && { feedForwardScales }),
      inputScale: outside,
      outputScale: outside,
    };
  };
  return [
    candidate("full", 1, null),
    candidate("base", 0, null),
    ...units.map((unit) => candidate(`without:${unitName(unit)}`, 1, unit)),
    ...units.map((unit) => candidate(`only:${unitName(unit)}`, 0, unit)),
  ];
}

function unitName({ layer, part }: EffectUnit): string {
  return part === null ? String(layer) : `${part}:${layer}`;
}
