import type { CalibrationResult } from "../result.js";
import { fullAdapter } from "./measure.js";

const COLUMNS = [
  "model",
  "quantization",
  "adapter",
  "data",
  "id",
  "family",
  "adapted_layers",
  "depth",
  "samples",
  "mean_nll",
  "sem_nll",
  "gain",
  "gain_low",
  "gain_high",
  "retention",
  "retention_low",
  "retention_high",
  "verdict",
  "selected",
] as const;

/**
 * One row per candidate of every result, for papers and spreadsheets (RFC 4180, `\n` line ends). Numbers are unrounded;
 * empty where nothing is known or a bound is unbounded; `depth` is adapted layers / layers that the adapter covers.
 */
export function curveCsv(results: readonly CalibrationResult[]): string {
  const rows = results.flatMap((result) => {
    const { model, adapter, data, selected } = result;
    const full = fullAdapter(result);
    return result.candidates.map((candidate) => {
      const { id, family, adaptedLayers, samples, mean, sem, gainVsFull, retention, verdict } = candidate;
      return [
        ...[model.path, model.quantization, adapter.path, data.path ?? "", id, family, adaptedLayers],
        ...[adaptedLayers / adapter.layers.length, samples, mean, sem],
        ...[gainVsFull.mean, gainVsFull.low, gainVsFull.high],
        ...(retention === null ? ["", "", ""] : [retention.mean, retention.low, retention.high]),
        candidate === full ? "reference" : verdict,
        id === selected?.candidate.id ? 1 : 0,
      ];
    });
  });
  return [COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function cell(value: string | number): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  // A spreadsheet runs what begins like a formula.
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
