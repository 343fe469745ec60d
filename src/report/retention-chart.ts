import type { CalibrationResult, Interval } from "../result.js";
import { unsignedZero } from "./numbers.js";
import { clipped, padded, type Style } from "./text.js";

const GUTTER = 6;
const ROWS = 10;
const WIDEST_STEP = 2;

interface Point {
  readonly boundary: number;
  readonly retention: Interval;
}

/**
 * Retention by boundary: a dot per cut, its bounds as a bar, the margin as a line. Boundaries that do not fit side by side
 * share a column, which shows the highest of them.
 *
 * @returns no lines where no retention is known
 */
export function retentionChart(result: CalibrationResult, style: Style): string[] {
  const points = result.candidates.flatMap(({ id, family, retention }): Point[] =>
    family === "boundary" && retention !== null ? [{ boundary: Number(id.split(":")[1]), retention }] : [],
  );
  if (points.length < 2) return [];
  const room = style.width - GUTTER;
  const step = Math.max(1, Math.min(WIDEST_STEP, Math.floor(room / points.length)));
  const columns = Math.min(points.length, room);
  const shown = Array.from({ length: columns }, (_, column) => {
    const index = Math.ceil(((column + 1) * points.length) / columns) - 1;
    return points[index];
  }).filter((point) => point !== undefined);

  const top = Math.max(1, ...shown.map(({ retention }) => retention.high));
  const bottom = Math.min(0, ...shown.map(({ retention }) => retention.low));
  const rowOf = (share: number): number => Math.round(((top - share) / (top - bottom)) * (ROWS - 1));
  const glyphs = style.unicode
    ? { dot: "\u25cf", bar: "\u2502", line: "\u2508", axis: "\u2524", corner: "\u2514", floor: "\u2500" }
    : { dot: "*", bar: ":", line: "-", axis: "|", corner: "+", floor: "-" };
  const marginRow = rowOf(1 - result.margin);
  const lines = Array.from({ length: ROWS }, (_, row) => {
    const cells = shown.map(({ retention }) => {
      if (rowOf(retention.mean) === row) return glyphs.dot;
      if (rowOf(retention.high) <= row && row <= rowOf(retention.low)) return glyphs.bar;
      return row === marginRow ? glyphs.line : " ";
    });
    const spacer = row === marginRow ? glyphs.line : " ";
    const share = top - (row / (ROWS - 1)) * (top - bottom);
    // Both ends tell the axis; where the margin lies within rounding of one, the end's number is the true one.
    const isEnd = row === 0 || row === ROWS - 1;
    const label = isEnd ? axisLabel(share) : row === marginRow ? axisLabel(1 - result.margin) : "";
    return (padded(label, GUTTER - 2, "right") + ` ${glyphs.axis}` + cells.join(spacer.repeat(step - 1))).trimEnd();
  });
  const first = String(shown[0]?.boundary ?? "");
  const last = String(shown.at(-1)?.boundary ?? "");
  const span = (shown.length - 1) * step + 1;
  return [
    clipped("kept % by boundary, line: margin", style.width, style),
    ...lines,
    " ".repeat(GUTTER - 1) + glyphs.corner + glyphs.floor.repeat(span),
    " ".repeat(GUTTER) + first + padded(last, Math.max(last.length + 1, span - first.length), "right"),
  ].map((line) => clipped(line, style.width, style));
}

function axisLabel(share: number): string {
  return unsignedZero((share * 100).toFixed(0));
}
