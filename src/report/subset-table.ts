import type { CalibrationResult, SubsetPointResult } from "../result.js";
import { percent } from "./numbers.js";
import { clipped, padded, tinted, type Style } from "./text.js";

/**
 * Subset and boundary by what is left, one line per size: the judged curve of the subset search, the same subsets without boost,
 * random ones with it, and the boundary of that size with and without boost where it was scored.
 *
 * @returns no lines where no subset search was run
 */
export function subsetLines(
  result: CalibrationResult,
  style: Style,
  prose: (text: string, indent?: string) => string[],
): string[] {
  const { subset } = result;
  if (subset === null) return [];
  const unit = subset.perModule ? "halves out" : "layers out";
  const titles = [unit, "boost", "kept % (bounds)", "verdict", "no boost", "random", "boundary", "boosted"];
  const rows = subset.points.map((point) => rowOf(point, result));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((cells) => (cells[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    clipped(
      "  " + cells.map((cell, column) => padded(cell, widths[column] ?? 0, column === 3 ? "left" : "right")).join("  "),
      style.width,
      style,
    ).trimEnd();
  const how =
    subset.judgedBy === "cross-fit"
      ? "each half of the samples judged what was ranked and boosted on the other; the subset that is written is ranked on all of them, and its claim is that of the procedure at its size"
      : "judged on samples kept aside";
  return [
    tinted(line(titles), "bold", style),
    ...rows.map(line),
    ...prose(
      `Subset search: ${how}. "No boost" and "random" (of the same size, same boost) are estimates from ${subset.points[0]?.shown.samples ?? 0} samples, the control of the search.`,
    ),
  ];
}

function rowOf(point: SubsetPointResult, { candidates }: CalibrationResult): string[] {
  const { retention, shown } = point;
  const share = (value: number | null | undefined) => (value == null ? "-" : percent(value));
  const boundaries = candidates.filter(({ adaptedLayers }) => adaptedLayers === point.adaptedLayers);
  const plain = boundaries.find(({ family }) => family === "boundary")?.retention?.mean;
  const boosted = boundaries
    .flatMap(({ family, retention: kept }) => (family === "boundary+boost" && kept !== null ? [kept.mean] : []))
    .sort((a, b) => b - a)[0];
  const random =
    shown.random.length === 0 ? null : shown.random.reduce((sum, one) => sum + one, 0) / shown.random.length;
  return [
    String(point.unitsOut),
    point.boost.toFixed(2),
    retention === null ? "-" : `${percent(retention.mean)} (${percent(retention.low)} to ${percent(retention.high)})`,
    point.verdict,
    share(shown.unboosted),
    share(random),
    share(plain),
    share(boosted),
  ];
}
