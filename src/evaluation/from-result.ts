import { readFile } from "node:fs/promises";
import type { SampleSet } from "../data/sample.js";
import { InputError } from "../errors.js";
import type { CalibrationChoice } from "./result.js";

/**
 * Reads what an evaluation needs of a calibration's result file.
 *
 * @throws InputError RESULT_UNREADABLE, RESULT_SCHEMA
 */
export async function readCalibration(path: string): Promise<CalibrationChoice> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError("RESULT_UNREADABLE", `The result ${path} cannot be read: ${reason}`, {
      cause,
      details: { file: path },
    });
  }
  const result = value as Partial<CalibrationChoice & { readonly schema: string }> | null;
  const isComplete =
    result?.schema === "lora-boundary/calibration@1" &&
    Array.isArray(result.candidates) &&
    Array.isArray(result.data?.lines) &&
    typeof result.data.sha256 === "string" &&
    typeof result.model?.layers === "number" &&
    result.selected !== undefined;
  if (!isComplete) {
    throw new InputError(
      "RESULT_SCHEMA",
      `Expected a result of \`calibrate --json\` (schema lora-boundary/calibration@1) in ${path} but received another file.`,
      { details: { file: path } },
    );
  }
  return result as CalibrationChoice;
}

/** Lines of the samples that the calibration saw as well; only the same file can be compared. */
export function sharedLines(
  { samples, sha256 }: Pick<SampleSet, "samples" | "sha256">,
  choice: CalibrationChoice,
): number[] {
  if (choice.data.sha256 !== sha256) return [];
  const seen = new Set(choice.data.lines);
  return samples.map(({ line }) => line).filter((line) => seen.has(line));
}
