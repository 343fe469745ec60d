import { readFile, stat } from "node:fs/promises";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { InputError } from "../errors.js";
import type { CalibrationResult, Interval } from "../result.js";
import { inconsistency } from "./consistency.js";
import { schemaProblem, type ResultProblem } from "./result-problems.js";

/** 200 candidates on 50,000 samples take half of it; keeps a wrong file from filling the memory. */
export const MAX_RESULT_BYTES = 256 * 2 ** 20;

export const CALIBRATION_SCHEMA = "lora-boundary/calibration@1";

/**
 * Reads a result that `calibrate --json` has written, checked against the published schema and in itself. Fields that
 * this version does not know pass.
 *
 * @throws InputError RESULT_UNREADABLE, RESULT_TOO_LARGE, RESULT_NOT_JSON (truncated files too), RESULT_SCHEMA (another
 *   kind or version), RESULT_FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readResult(path: string): Promise<CalibrationResult> {
  const value = parse(await text(path), path);
  requireSchema(value, path);
  const validate = await validator();
  if (!validate(value)) {
    const [first] = validate.errors ?? [];
    if (first !== undefined) throw fieldError(path, schemaProblem(first));
  }
  const result = unbounded(value as CalibrationResult);
  const problem = inconsistency(result);
  if (problem !== null) throw fieldError(path, problem);
  return result;
}

async function text(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_RESULT_BYTES) {
      throw new InputError(
        "RESULT_TOO_LARGE",
        `${path}: expected a result file of at most ${MAX_RESULT_BYTES} bytes but received ${size}; give a file that \`calibrate --json\` has written.`,
        { details: { path, limit: MAX_RESULT_BYTES, bytes: size } },
      );
    }
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new InputError("RESULT_UNREADABLE", `${path}: the result file cannot be read (${code}); check the path.`, {
      cause,
      details: { path, systemCode: code },
    });
  }
}

function parse(content: string, path: string): unknown {
  try {
    // A byte order mark is what some editors leave behind.
    return JSON.parse(content.replace(/^\ufeff/, ""));
  } catch (cause) {
    const isCut = !content.trimEnd().endsWith("}");
    const why = content.trim() === "" ? "is empty" : isCut ? "is no JSON or ends too early" : "is no JSON";
    throw new InputError(
      "RESULT_NOT_JSON",
      `${path}: expected a result that \`calibrate --json\` has written but the file ${why}; write it again.`,
      { cause, details: { path } },
    );
  }
}

function requireSchema(value: unknown, path: string): void {
  const schema = typeof value === "object" && value !== null && "schema" in value ? value.schema : undefined;
  if (schema === CALIBRATION_SCHEMA) return;
  const received = typeof schema === "string" ? schema.slice(0, 100) : "no such field";
  const advice = /^lora-boundary\/calibration@\d+$/.test(received)
    ? "it is of another version of lora-boundary: use that version, or calibrate again"
    : "give a file that `calibrate --json` has written";
  throw new InputError(
    "RESULT_SCHEMA",
    `${path}: expected \`schema\` to be ${CALIBRATION_SCHEMA} but received ${received}; ${advice}.`,
    { details: { path, schema: received } },
  );
}

function fieldError(path: string, { path: field, expected, received }: ResultProblem): InputError {
  return new InputError(
    "RESULT_FIELD",
    `${path}: expected ${expected} for \`${field}\` but received ${received}; the file was changed by hand or by another program: write it again.`,
    { details: { path, field, expected, received } },
  );
}

let compiled: ValidateFunction | null = null;

async function validator(): Promise<ValidateFunction> {
  compiled ??= new Ajv2020({ allowUnionTypes: true, verbose: true }).compile(await calibrationSchema());
  return compiled;
}

/** The schema as it is published with the package. */
async function calibrationSchema(): Promise<object> {
  const url = new URL("../../schema/calibration-1.schema.json", import.meta.url);
  return JSON.parse(await readFile(url, "utf8")) as object;
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
