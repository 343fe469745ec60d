import { clipped, displayWidth, padded, tinted, wrapped, type Style } from "./text.js";

export const INDENT = "  ";
const GAP = "  ";
/** Narrower than this, labels stand in the line of their value. */
const LABEL_COLUMNS = 40;

/** One line of a section; the value harmless for a terminal already. */
export type Fact = readonly [label: string, value: string];

/** A heading and its facts, values below each other where there is room. */
export function section(title: string, style: Style, facts: readonly Fact[]): string[] {
  const widest = facts.reduce((most, [label]) => Math.max(most, displayWidth(label)), 0);
  const column = INDENT.length + widest + GAP.length;
  return [
    heading(title, style),
    ...facts.flatMap(([label, value]) => {
      if (style.width < Math.max(LABEL_COLUMNS, 2 * column)) return hanging(`${label}: ${value}`, style);
      const start = INDENT + padded(label, widest, "left") + GAP;
      return fitted(value, style.width, " ".repeat(column)).map((line, index) =>
        index === 0 ? start + line.slice(column) : line,
      );
    }),
  ];
}

export function heading(title: string, style: Style): string {
  return tinted(clipped(title, style.width, style), "bold", style);
}

/** Indented, the lines after the first one deeper. */
export function hanging(text: string, { width }: Style): string[] {
  if (displayWidth(INDENT + text) <= width) return [INDENT + text];
  return wrapped(text, width, INDENT + INDENT).map((line, index) => (index === 0 ? line.slice(INDENT.length) : line));
}

/** Wrapping closes up spaces, which a path may have on purpose, so what fits stays as it is. */
function fitted(text: string, width: number, indent: string): string[] {
  return displayWidth(indent + text) <= width ? [indent + text] : wrapped(text, width, indent);
}
