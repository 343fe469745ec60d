import type { CalibrationResult, SubsetPointResult, SubsetSection } from "../result.js";
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
  const titles = subsetTitles(subset);
  const rows = subset.points.map((point) => subsetRow(point, result));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((cells) => (cells[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    clipped(
      "  " + cells.map((cell, column) => padded(cell, widths[column] ?? 0, column === 3 ? "left" : "right")).join("  "),
      style.width,
      style,
    ).trimEnd();
  return [tinted(line(titles), "bold", style), ...rows.map(line), ...prose(`Subset search: ${subsetSentence(subset)}`)];
}

export function subsetTitles({ perModule }: SubsetSection): readonly string[] {
  const unit = perModule ? "halves out" : "layers out";
  return [unit, "boost", "kept % (bounds)", "verdict", "no boost", "random", "boundary", "boosted"];
}

/** On which samples the sizes were judged, and what stands beside them; begins in the middle of a sentence. */
export function subsetSentence({ judgedBy, points }: SubsetSection): string {
  const how =
    judgedBy === "cross-fit"
      ? "each half of the samples judged what was ranked and boosted on the other; the subset that is written is ranked on all of them, and its claim is that of the procedure at its size"
      : "judged on samples kept aside";
  return `${how}. "No boost" and "random" (of the same size, same boost) are estimates from ${points[0]?.shown.samples ?? 0} samples, the control of the search.`;
}

/** The cells under {@link subsetTitles}. */
export function subsetRow(point: SubsetPointResult, { candidates }: CalibrationResult): string[] {
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
