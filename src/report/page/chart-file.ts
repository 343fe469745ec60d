import type { Chart } from "./chart.js";
import { WIDE } from "./frame.js";
import { CHART_STYLE } from "./theme.js";

/** A chart as an SVG file of its own, for papers: light, with the styles that it needs. */
export function chartFile({ draw }: Pick<Chart, "draw">): string {
  const drawn = draw(WIDE).toString();
  const end = drawn.indexOf(">") + 1;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${drawn.slice(0, end)}${CHART_STYLE.toString()}${drawn.slice(end)}\n`;
}
