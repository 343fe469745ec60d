import type { SampleSet } from "../data/sample.js";
import type { CalibrationChoice } from "./result.js";

/** Lines of the samples that the calibration saw as well; only the same file can be compared. */
export function sharedLines(
  { samples, sha256 }: Pick<SampleSet, "samples" | "sha256">,
  choice: CalibrationChoice,
): number[] {
  if (choice.data.sha256 !== sha256) return [];
  const seen = new Set(choice.data.lines);
  return samples.map(({ line }) => line).filter((line) => seen.has(line));
}
