import type { CalibrationResult, Interval } from "../result.js";
import { fieldError, readCheckedJson, type JsonKind } from "./checked-json.js";
import { inconsistency } from "./consistency.js";

/** 200 candidates on 50,000 samples take half of it. */
export const MAX_RESULT_BYTES = 256 * 2 ** 20;

export const CALIBRATION_SCHEMA = "lora-boundary/calibration@1";

const RESULT: JsonKind = {
  code: "RESULT",
  schema: CALIBRATION_SCHEMA,
  schemaFile: "calibration-1.schema.json",
  noun: "result",
  writer: "calibrate --json",
  mostBytes: MAX_RESULT_BYTES,
};

/**
 * Reads a result that `calibrate --json` has written, checked against the published schema and in itself. Fields that
 * this version does not know pass.
 *
 * @throws InputError RESULT_UNREADABLE, RESULT_TOO_LARGE, RESULT_NOT_JSON (truncated files too), RESULT_SCHEMA (another
 *   kind or version), RESULT_FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readResult(path: string): Promise<CalibrationResult> {
  const result = unbounded((await readCheckedJson(path, RESULT)) as CalibrationResult);
  const problem = inconsistency(result);
  if (problem !== null) throw fieldError(path, problem, RESULT);
  return result;
}

/** An {@link Interval} as JSON has it. */
interface WrittenInterval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
}

function interval({ mean, low, high }: WrittenInterval): Interval {
  return { mean, low: orElse(low, -Infinity), high: orElse(high, Infinity) };
}

function orElse(written: number | null, unbounded: number): number {
  return written ?? unbounded;
}

/** JSON has no infinity: a bound that the samples cannot give is written as null. */
function unbounded(result: CalibrationResult): CalibrationResult {
  const maybe = (it: Interval | null): Interval | null => (it === null ? null : interval(it));
  const { gate, candidates, selected, controls } = result;
  const best = controls.bestGlobalScale;
  return {
    ...result,
    criticalValue: orElse(result.criticalValue, Infinity),
    gate: { ...gate, gain: interval(gate.gain) },
    candidates: candidates.map((candidate) => ({
      ...candidate,
      gainVsFull: interval(candidate.gainVsFull),
      retention: maybe(candidate.retention),
    })),
    selected: selected && { ...selected, crossFitGain: interval(selected.crossFitGain) },
    controls: {
      ...controls,
      bestGlobalScale: best && { ...best, gainVsFull: interval(best.gainVsFull) },
      selectedVsBest: maybe(controls.selectedVsBest),
    },
  };
}
