import type { Analysis } from "../analysis/analysis.js";
import type { CalibrationResult } from "../result.js";

/** Whether both looked at one adapter: by its fingerprint, else by what is known of its shape. */
export function isOfAdapter({ adapter }: Analysis, { adapter: other }: CalibrationResult): boolean {
  if (adapter.fingerprint !== "" && other.fingerprint !== "") return adapter.fingerprint === other.fingerprint;
  return adapter.rank === other.rank && adapter.alpha === other.alpha && adapter.layers.join() === other.layers.join();
}
