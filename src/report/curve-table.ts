import type { CalibrationResult, CandidateResult } from "../result.js";
import { percent, signedNats } from "./numbers.js";
import { scoreTitle } from "./objective.js";
import { clipped, displayWidth, padded, printable, tinted, type Style, type Tint } from "./text.js";

interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  readonly cell: (candidate: CandidateResult) => string;
}

const GAP = "  ";
/** Columns of the mark of the chosen row. */
const MARK = 2;
/** `not-wo` and a mark: the verdicts still differ. */
const SHORTEST_VERDICT = 7;

/** One row per candidate, the chosen one marked; columns are dropped until the rows fit. */
export function curveTable(result: CalibrationResult, style: Style): string[] {
  const rows = result.candidates;
  const columns = fitting(result, style);
  const widths = columns.map((column) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(column.cell(row)))),
  );
  const gap = totalWidth(widths) > style.width ? " " : GAP;
  squeeze(widths, style.width - MARK - gap.length * (widths.length - 1));
  const line = (mark: string, cells: readonly string[]): string => {
    const fitted = cells.map((cell, index) => {
      const room = widths[index] ?? 0;
      return padded(clipped(cell, room, style), room, columns[index]?.align ?? "left");
    });
    return (mark + fitted.join(gap)).trimEnd();
  };
  const marked = style.unicode ? "\u25ba " : "> ";
  return [
    tinted(
      line(
        "  ",
        columns.map(({ title }) => title),
      ),
      "bold",
      style,
    ),
    ...rows.map((row) => {
      const chosen = row.id === result.selected?.candidate.id;
      const text = line(
        chosen ? marked : "  ",
        columns.map(({ cell }) => cell(row)),
      );
      const tint = chosen ? "bold" : tintOf(row);
      return tint === null ? text : tinted(text, tint, style);
    }),
  ];
}

/** Takes what is too much from the verdict, which stays readable cut short, then from the name. */
function squeeze(widths: number[], room: number): void {
  const last = widths.length - 1;
  for (const [index, least] of [
    [last, SHORTEST_VERDICT],
    [0, 1],
  ] as const) {
    const excess = widths.reduce((sum, width) => sum + width, 0) - room;
    const width = widths[index] ?? 0;
    if (excess > 0) widths[index] = Math.min(width, Math.max(least, width - excess));
  }
}

function totalWidth(widths: readonly number[]): number {
  return MARK + widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

/** The richest set of columns that fits; the last one is taken whether or not it fits. */
function fitting(result: CalibrationResult, style: Style): readonly Column[] {
  const { id, layers, nll, gain, gainBounds, retention, retentionBounds, verdict } = columnsOf(result, style);
  const sets: readonly (readonly Column[])[] = [
    [id, layers, nll, gainBounds, retentionBounds, verdict],
    [id, layers, gainBounds, retentionBounds, verdict],
    [id, layers, retentionBounds, verdict],
    [id, retentionBounds, verdict],
    [id, layers, retention, verdict],
    [id, retention, verdict],
    [id, gain, verdict],
    [id, verdict],
  ];
  // Without a proven gain there is no retention to show.
  const useful = result.candidates.some((row) => row.retention !== null)
    ? sets
    : [
        [id, layers, nll, gainBounds, verdict],
        [id, layers, gainBounds, verdict],
        [id, gainBounds, verdict],
        [id, gain, verdict],
      ];
  const fits = (columns: readonly Column[]): boolean =>
    totalWidth(
      columns.map(({ title, cell }) =>
        Math.max(displayWidth(title), ...result.candidates.map((row) => displayWidth(cell(row)))),
      ),
    ) <= style.width;
  return useful.find(fits) ?? [id, verdict];
}

function columnsOf(result: CalibrationResult, style: Style) {
  const plusMinus = style.unicode ? "\u00b1" : "+-";
  const none = "-";
  const full = result.candidates.findLast(({ family }) => family === "boundary");
  const column = (title: string, align: Column["align"], cell: Column["cell"]): Column => ({ title, align, cell });
  return {
    id: column("cut", "left", (row) => printable(row.id)),
    layers: column("layers", "right", (row) => String(row.adaptedLayers)),
    nll: column(scoreTitle(result), "right", (row) => row.mean.toFixed(4)),
    gain: column("gain", "right", (row) => (row === full ? none : signedNats(row.gainVsFull.mean))),
    gainBounds: column("gain vs full", "right", (row) => {
      const { mean, low, high } = row.gainVsFull;
      return row === full ? none : `${signedNats(mean)} ${plusMinus}${((high - low) / 2).toFixed(4)}`;
    }),
    retention: column("kept %", "right", (row) => (row.retention === null ? none : percent(row.retention.mean))),
    retentionBounds: column("kept % (bounds)", "right", (row) => {
      if (row.retention === null) return none;
      const { mean, low, high } = row.retention;
      return row === full ? percent(mean) : `${percent(mean)} (${percent(low)} to ${percent(high)})`;
    }),
    verdict: column("verdict", "left", (row) =>
      row === full ? "reference" : row.droppedAfter === null ? row.verdict : `dropped (${row.droppedAfter})`,
    ),
  };
}

function tintOf({ verdict }: CandidateResult): Tint | null {
  switch (verdict) {
    case "better":
    case "not-worse":
      return "green";
    case "worse":
      return "dim";
    case "unproven":
      return null;
  }
}
