import type { Analysis } from "../analysis/analysis.js";
import type { CalibrationResult, Interval } from "../result.js";
import { rankError } from "./analysis.js";
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
  return csv([COLUMNS, ...rows]);
}

const LAYER_COLUMNS = [
  ...["adapter", "layer", "part", "norm"],
  ...["left_out", "left_out_low", "left_out_high", "alone", "alone_low", "alone_high"],
  ...["lens_nll_base", "lens_nll", "lens_nll_se", "lens_probability", "lens_rank"],
  ...["lens_nll_base_se", "lens_probability_se", "lens_rank_se"],
];

const NO_READINGS: readonly string[] = new Array<string>(8).fill("");

/** One row per layer, and where they are known one per half of a layer; otherwise as {@link curveCsv}. */
export function layersCsv({ adapter, norms, effects, lens }: Analysis): string {
  const bounds = (value: Interval | undefined) =>
    value === undefined ? ["", "", ""] : [value.mean, value.low, value.high];
  const rows = norms.flatMap(({ layer, norm, attention, feedForward }) => {
    const whole = effects?.layers.find((it) => it.layer === layer);
    const base = lens?.base.find((it) => it.layer === layer);
    const full = lens?.full.find((it) => it.layer === layer);
    const readings =
      base === undefined || full === undefined
        ? NO_READINGS
        : [
            ...[base.nll.mean, full.nll.mean, full.nll.se, full.probability.mean, full.rank.mean],
            ...[base.nll.se, full.probability.se, rankError(full.rank)],
          ];
    const halves = (["attention", "ffn"] as const).map((part) => {
      const half = effects?.modules?.find((it) => it.layer === layer && it.part === part);
      const own = part === "attention" ? attention : feedForward;
      return [adapter.path, layer, part, own, ...bounds(half?.leftOut), ...bounds(half?.alone), ...NO_READINGS];
    });
    return [
      [adapter.path, layer, "layer", norm, ...bounds(whole?.leftOut), ...bounds(whole?.alone), ...readings],
      ...halves,
    ];
  });
  return csv([LAYER_COLUMNS, ...rows]);
}

function csv(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function cell(value: string | number): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  // A spreadsheet runs what begins like a formula.
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
