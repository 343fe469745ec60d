import type { Analysis } from "../analysis/analysis.js";
import type { CalibrationResult } from "../result.js";
import { analysisOf } from "./read-analysis.js";
import { calibrationOf } from "./read-result.js";
import { readResultFile } from "./result-file.js";

/**
 * Reads a result of either kind; its `schema` tells which.
 *
 * @throws InputError as `readResult`
 */
export async function readAnyResult(path: string): Promise<CalibrationResult | Analysis> {
  const { kind, value } = await readResultFile(path, ["calibration", "analysis"]);
  return kind === "analysis" ? analysisOf(value, path) : calibrationOf(value, path);
}
