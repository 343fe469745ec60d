import type { InputError } from "../errors.js";
import type { Interval } from "../result.js";
import { fieldError, readCheckedJson, type JsonKind } from "./checked-json.js";
import type { ResultProblem } from "./result-problems.js";

/** A kind of result: `calibration` is written by `calibrate --json` and says `lora-boundary/calibration@1`. */
export type ResultKind = "calibration" | "analysis";

const KINDS: Readonly<Record<ResultKind, JsonKind>> = {
  calibration: {
    schema: "lora-boundary/calibration@1",
    schemaFile: "calibration-1.schema.json",
    writer: "calibrate --json",
  },
  analysis: { schema: "lora-boundary/analysis@1", schemaFile: "analysis-1.schema.json", writer: "analyze --json" },
};

const RESULT = {
  code: "RESULT",
  noun: "result",
  // 200 candidates on 50,000 samples take half of it.
  mostBytes: 256 * 2 ** 20,
} as const;

/** A file of one of the wanted kinds, checked against the published schema. */
export interface ResultFile {
  readonly kind: ResultKind;
  readonly value: object;
}

/**
 * @throws InputError RESULT_UNREADABLE, RESULT_TOO_LARGE, RESULT_NOT_JSON (truncated files too), RESULT_SCHEMA (another
 *   kind or version), RESULT_FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readResultFile(path: string, wanted: readonly ResultKind[]): Promise<ResultFile> {
  const { kind, value } = await readCheckedJson(path, { ...RESULT, kinds: wanted.map((name) => KINDS[name]) });
  return { kind: kind === KINDS.analysis ? "analysis" : "calibration", value };
}

/** What is wrong in a result that its schema lets pass. */
export function resultError(path: string, problem: ResultProblem): InputError {
  return fieldError(path, problem, RESULT);
}

/** JSON has no infinity: a bound that the samples cannot give is written as null. */
export function intervalOf({ mean, low, high }: Interval): Interval {
  return { mean, low: orElse(low, -Infinity), high: orElse(high, Infinity) };
}

export function orElse(written: number | null, unbounded: number): number {
  return written ?? unbounded;
}
