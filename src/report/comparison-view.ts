import { compareResults, transferSentence, type ComparedResult } from "./comparison.js";
import { intervalText, measureOf } from "./measure.js";
import { percent } from "./numbers.js";
import { textTable, type TextColumn } from "./table.js";
import { printable, styleOf, wrapped, type RenderOptions } from "./text.js";
import type { CalibrationResult } from "../result.js";

/** The rows of a comparison, in the words of the page and of the terminal. */
export function comparisonRow({ result, chosen }: ComparedResult) {
  const measure = measureOf(result);
  const value = chosen === null ? null : measure.of(chosen);
  const { adapter, data, gate } = result;
  return {
    cut: chosen?.id ?? "none",
    layers: `${chosen?.adaptedLayers ?? adapter.layers.length} of ${adapter.layers.length}`,
    depth: chosen === null ? "-" : `${percent(chosen.adaptedLayers / Math.max(1, adapter.layers.length))} %`,
    kept: value === null ? "-" : intervalText(value, measure),
    verdict: !gate.passed && !gate.forced ? "gate failed" : (chosen?.verdict ?? result.noSelection?.kind ?? "unproven"),
    samples: String(data.samples),
    gain: gate.gain.mean.toFixed(4),
  };
}

/** Several results in one table, and whether a cut found on one holds on the others. Pure; no final line break. */
export function renderComparison(results: readonly CalibrationResult[], options: RenderOptions): string {
  const style = styleOf(options);
  const comparison = compareResults(results);
  const rows = comparison.results.map(comparisonRow);
  const column = (
    title: string,
    key: keyof (typeof rows)[number],
    more: Pick<TextColumn, "align" | "least" | "expendable">,
  ): TextColumn => ({ title, cells: rows.map((row) => printable(row[key])), ...more });
  const columns: readonly TextColumn[] = [
    {
      title: "result",
      align: "left",
      cells: comparison.results.map(({ label }) => printable(label)),
      least: 14,
      expendable: 0,
    },
    column("cut", "cut", { align: "left", least: 8, expendable: 0 }),
    column("layers", "layers", { align: "right", least: 8, expendable: 4 }),
    column("depth", "depth", { align: "right", least: 7, expendable: 3 }),
    column("kept (bounds)", "kept", { align: "right", least: 22, expendable: 2 }),
    column("samples", "samples", { align: "right", least: 7, expendable: 5 }),
    column("full gains", "gain", { align: "right", least: 10, expendable: 6 }),
    column("verdict", "verdict", { align: "left", least: 9, expendable: 0 }),
  ];
  const sentences = comparison.transfers.flatMap((transfer) => wrapped(transferSentence(transfer), style.width));
  return [textTable(columns, style), sentences]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}
