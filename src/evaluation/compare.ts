import type { Interval } from "../result.js";
import { maxTCriticalValue } from "../search/bootstrap.js";
import { binaryRange } from "../search/near-binary.js";
import { signFlipCriticalValue } from "../search/sign-flip.js";
import { independentUnits, requireSpread, unitMean, type UnitMean, type Units } from "../search/units.js";
import { boundedMean } from "../search/verdicts.js";
import type { Comparison, MetricScore } from "./result.js";
import type { MetricColumn, MetricColumns } from "./score-answers.js";

export interface CompareOptions {
  readonly confidence: number;
  readonly seed: number;
}

export interface Comparisons {
  readonly criticalValue: number;
  /** [candidates][metrics] */
  readonly scores: readonly (readonly MetricScore[])[];
}

/** Differences this small against the scores themselves are rounding, and a tie. */
const ROUNDING = 1e-12;

/**
 * Compares every candidate with the base model and the full adapter, by every metric, in pairs. All bounds hold together:
 * one critical value over all of these contrasts (`maxTCriticalValue`), samples of one group drawn together. Where a metric only
 * hits or misses, the spread of few differences misleads: no bound may then be closer than what chance alone can do under flips
 * of sign (`signFlipCriticalValue`).
 *
 * @param columns every metric with the same candidates: the base model first, the full adapter second
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples
 */
export function compare(
  columns: readonly MetricColumns[],
  groups: readonly string[],
  options: CompareOptions,
): Comparisons {
  const units = independentUnits(groups, new Int32Array(groups.length).fill(1), false);
  requireSpread(units);
  const contrasts = columns.map((metric) =>
    metric.candidates.map((column, index) => contrastsOf(metric, column, index, units)),
  );
  const noisy = contrasts
    .flat()
    .flatMap(({ vsFull, vsBase, corpusVsFull }) => [vsFull, vsBase, corpusVsFull])
    .flatMap((mean) => (mean === null || mean.flat ? [] : [mean.residuals]));
  const criticalValue = Math.max(
    maxTCriticalValue(noisy, units.count, options),
    ...columns.filter(isNearBinary).map((metric) => signFlipCriticalValue(allDifferences(metric), units, options)),
  );

  const scoreOf = (metric: MetricColumns, found: Contrasts, index: number): MetricScore => {
    const { perSample, corpus } = metric.candidates[index] ?? EMPTY;
    const { mean, se } = unitMean(perSample, units);
    const comparison = (contrast: UnitMean | null, reference: number): Comparison | null =>
      contrast === null
        ? null
        : {
            gain: boundedMean(contrast, criticalValue),
            ...counts(differences(metric, perSample, metric.candidates[reference] ?? EMPTY), perSample),
          };
    return {
      metric: metric.name,
      mean,
      sem: se,
      corpus,
      corpusVsFull: bounded(found.corpusVsFull, criticalValue),
      vsFull: comparison(found.vsFull, FULL),
      vsBase: comparison(found.vsBase, BASE),
      perSample: Array.from(perSample),
    };
  };
  const candidates = columns[0]?.candidates.length ?? 0;
  return {
    criticalValue,
    scores: Array.from({ length: candidates }, (_, index) =>
      columns.map((metric, place) => scoreOf(metric, contrasts[place]?.[index] ?? NONE, index)),
    ),
  };
}

const BASE = 0;
const FULL = 1;
const EMPTY: MetricColumn = { perSample: new Float64Array(), corpus: null, corpusValues: null };
const NONE: Contrasts = { vsFull: null, vsBase: null, corpusVsFull: null };

interface Contrasts {
  readonly vsFull: UnitMean | null;
  readonly vsBase: UnitMean | null;
  readonly corpusVsFull: UnitMean | null;
}

function contrastsOf(metric: MetricColumns, column: MetricColumn, index: number, units: Units): Contrasts {
  const against = (reference: number): UnitMean | null =>
    index === reference
      ? null
      : unitMean(differences(metric, column.perSample, metric.candidates[reference] ?? EMPTY), units);
  const full = metric.candidates[FULL]?.corpusValues ?? null;
  const own = column.corpusValues;
  const corpus =
    full === null || own === null || index === FULL
      ? null
      : unitMean(differences(metric, own, { ...EMPTY, perSample: full }), units);
  return { vsFull: against(FULL), vsBase: against(BASE), corpusVsFull: corpus };
}

/** Above 0: better than the reference, whichever way the metric points. */
function differences({ higherIsBetter }: MetricColumns, own: Float64Array, reference: MetricColumn): Float64Array {
  const sign = higherIsBetter ? 1 : -1;
  return own.map((score, sample) => sign * (score - (reference.perSample[sample] ?? NaN)));
}

function counts(gains: Float64Array, scores: Float64Array): Omit<Comparison, "gain"> {
  const isTie = (gain: number, sample: number): boolean =>
    Math.abs(gain) <= ROUNDING * Math.max(1, Math.abs(scores[sample] ?? 0));
  const wins = gains.filter((gain, sample) => gain > 0 && !isTie(gain, sample)).length;
  const losses = gains.filter((gain, sample) => gain < 0 && !isTie(gain, sample)).length;
  return { wins, losses, ties: gains.length - wins - losses };
}

function isNearBinary({ candidates }: MetricColumns): boolean {
  return binaryRange(candidates.map(({ perSample }) => perSample)) !== null;
}

/** Of every candidate to the base model and to the full adapter. */
function allDifferences(metric: MetricColumns): Float64Array[] {
  return [BASE, FULL].flatMap((reference) =>
    metric.candidates.flatMap(({ perSample }, index) =>
      index === reference ? [] : [differences(metric, perSample, metric.candidates[reference] ?? EMPTY)],
    ),
  );
}

function bounded(contrast: UnitMean | null, criticalValue: number): Interval | null {
  return contrast === null ? null : boundedMean(contrast, criticalValue);
}
