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
 * Retention by boundary: a dot per cut, the simultaneous bounds as a band, the margin as a line. Boundaries that do not fit side by side
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
    ? { dot: "\u25cf", band: "\u2591", line: "\u2508", axis: "\u2524", corner: "\u2514", floor: "\u2500" }
    : { dot: "*", band: ":", line: "-", axis: "|", corner: "+", floor: "-" };
  const marginRow = rowOf(1 - result.margin);
  const lines = Array.from({ length: ROWS }, (_, row) => {
    const isInBand = ({ retention }: Point): boolean =>
      rowOf(retention.high) <= row && row <= rowOf(retention.low) && rowOf(retention.high) < rowOf(retention.low);
    const ground = row === marginRow ? glyphs.line : " ";
    const cells = shown.map((point, index) => {
      const isBand = isInBand(point);
      const next = shown[index + 1];
      // Between two columns the band goes on where both have it.
      const gap = next === undefined ? "" : (isBand && isInBand(next) ? glyphs.band : ground).repeat(step - 1);
      if (rowOf(point.retention.mean) === row) return glyphs.dot + gap;
      return (isBand ? glyphs.band : ground) + gap;
    });
    const share = top - (row / (ROWS - 1)) * (top - bottom);
    // Both ends tell the axis; where the margin lies within rounding of one, the end's number is the true one.
    const isEnd = row === 0 || row === ROWS - 1;
    const label = isEnd ? axisLabel(share) : row === marginRow ? axisLabel(1 - result.margin) : "";
    return (padded(label, GUTTER - 2, "right") + ` ${glyphs.axis}` + cells.join("")).trimEnd();
  });
  const first = String(shown[0]?.boundary ?? "");
  const last = String(shown.at(-1)?.boundary ?? "");
  const span = (shown.length - 1) * step + 1;
  return [
    clipped("kept % by boundary, shaded: bounds, line: margin", style.width, style),
    ...lines,
    " ".repeat(GUTTER - 1) + glyphs.corner + glyphs.floor.repeat(span),
    " ".repeat(GUTTER) + first + padded(last, Math.max(last.length + 1, span - first.length), "right"),
  ].map((line) => clipped(line, style.width, style));
}

function axisLabel(share: number): string {
  return unsignedZero((share * 100).toFixed(0));
}
