import { clipped, displayWidth, padded, tinted, type Style } from "./text.js";

/** A column of a terminal table; cells are printable already. */
export interface TextColumn {
  readonly title: string;
  readonly align: "left" | "right";
  readonly cells: readonly string[];
  /** Columns of the terminal below which it is not cut. */
  readonly least: number;
  /** The highest goes first where there is too little room; 0 stays whatever happens. */
  readonly expendable: number;
}

const GAP = 2;

/** Rows under a bold heading, as wide as the style allows: columns go, then cells are cut. */
export function textTable(columns: readonly TextColumn[], style: Style): string[] {
  const natural = ({ title, cells }: TextColumn): number => Math.max(displayWidth(title), ...cells.map(displayWidth));
  const total = (widths: readonly number[]): number => widths.reduce((sum, it) => sum + it + GAP, -GAP);
  const kept = [...columns];
  const leastTotal = (): number => total(kept.map((column) => Math.min(column.least, natural(column))));
  while (leastTotal() > style.width && kept.length > 1) {
    const most = Math.max(...kept.map(({ expendable }) => expendable));
    if (most === 0) break;
    kept.splice(
      kept.findIndex(({ expendable }) => expendable === most),
      1,
    );
  }
  const widths = kept.map(natural);
  // The widest column gives first.
  while (total(widths) > style.width) {
    const room = widths.map((width, index) => width - Math.min(width, kept[index]?.least ?? 0));
    const widest = room.some((it) => it > 0) ? room.indexOf(Math.max(...room)) : widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= 1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return padded(clipped(text, width, style), width, kept[index]?.align ?? "left");
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  const rows = Math.max(0, ...kept.map(({ cells }) => cells.length));
  return [
    tinted(line(kept.map(({ title }) => title)), "bold", style),
    ...Array.from({ length: rows }, (_, row) => line(kept.map(({ cells }) => cells[row] ?? ""))),
  ];
}
