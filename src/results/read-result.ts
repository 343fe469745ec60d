import type { CalibrationResult, Interval } from "../result.js";
import { inconsistency } from "./consistency.js";
import { resultError, intervalOf, orElse, readResultFile } from "./result-file.js";

/**
 * Reads a result that `calibrate --json` has written, checked against the published schema and in itself. Fields that
 * this version does not know pass.
 *
 * @throws InputError RESULT_UNREADABLE, RESULT_TOO_LARGE, RESULT_NOT_JSON (truncated files too), RESULT_SCHEMA (another
 *   kind or version), RESULT_FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readResult(path: string): Promise<CalibrationResult> {
  const { value } = await readResultFile(path, ["calibration"]);
  return calibrationOf(value, path);
}

/**
 * @param value keeps to the schema
 * @throws InputError RESULT_FIELD where lengths or names do not belong together
 */
export function calibrationOf(value: object, path: string): CalibrationResult {
  const result = unbounded(value as CalibrationResult);
  const problem = inconsistency(result);
  if (problem !== null) throw resultError(path, problem);
  return result;
}

/** Earlier versions knew one reason and one stage, and did not say so. */
function earlier(partial: Partial<NonNullable<CalibrationResult["partial"]>> & { readonly ofSamples: number }) {
  const { ofSamples, cause = "cancelled", stage = "boundary" } = partial;
  return { ...partial, ofSamples, cause, stage };
}

/** As it was before it was JSON; what earlier versions did not write is null. */
function unbounded(result: CalibrationResult): CalibrationResult {
  const maybe = (it: Interval | null): Interval | null => (it === null ? null : intervalOf(it));
  const { gate, candidates, selected, controls } = result;
  const { subset = null, suggestion = null, guard = null } = result as Partial<CalibrationResult>;
  const best = controls.bestGlobalScale;
  const partial = result.partial && earlier(result.partial);
  return {
    ...result,
    partial,
    criticalValue: orElse(result.criticalValue, Infinity),
    gate: { ...gate, gain: intervalOf(gate.gain) },
    candidates: candidates.map((candidate) => ({
      ...candidate,
      gainVsFull: intervalOf(candidate.gainVsFull),
      retention: maybe(candidate.retention),
    })),
    selected: selected && { ...selected, crossFitGain: intervalOf(selected.crossFitGain) },
    controls: {
      ...controls,
      bestGlobalScale: best && { ...best, gainVsFull: intervalOf(best.gainVsFull) },
      selectedVsBest: maybe(controls.selectedVsBest),
    },
    subset: subset && {
      ...subset,
      points: subset.points.map((point) => ({ ...point, retention: maybe(point.retention) })),
    },
    suggestion,
    ...(guard && {
      guard: { ...guard, candidates: guard.candidates.map((it) => ({ ...it, added: maybe(it.added) })) },
    }),
  };
}
