import { scaleLinear, type ScaleLinear } from "d3-scale";
import { markup, type Content, type Markup } from "./markup.js";

/** The drawing area of one chart; pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
  readonly isNarrow: boolean;
}

/** A chart is drawn twice, so that its text has one size on every screen; style sheets show one of them. */
export const WIDE: Size = { width: 830, height: 360, isNarrow: false };
export const NARROW: Size = { width: 320, height: 300, isNarrow: true };

export const INSET = { left: 50, right: 14, top: 16, bottom: 40 };

export type Scale = ScaleLinear<number, number>;

export interface Axis {
  readonly domain: readonly [low: number, high: number];
  readonly label: string;
  readonly format: (value: number) => string;
}

/** Scales and what lies behind the data: grid, numbers, names of the axes. */
export interface Frame {
  readonly x: Scale;
  readonly y: Scale;
  readonly ground: Markup;
}

export function frameOf(size: Size, xAxis: Axis, yAxis: Axis): Frame {
  const { left, right, top, bottom } = INSET;
  const floor = size.height - bottom;
  const x = scaleLinear()
    .domain(xAxis.domain)
    .range([left, size.width - right]);
  const y = scaleLinear().domain(yAxis.domain).range([floor, top]).clamp(true);
  const rows = y.ticks(6).map((value) => {
    const at = px(y(value));
    return markup`<line class="grid" x1="${left}" x2="${size.width - right}" y1="${at}" y2="${at}" />
      <text class="end" x="${left - 8}" y="${at}" dy=".32em">${yAxis.format(value)}</text>`;
  });
  const columns = x
    .ticks(size.isNarrow ? 5 : 10)
    .filter(Number.isInteger)
    .map((value) => markup`<text class="middle" x="${px(x(value))}" y="${floor + 17}">${xAxis.format(value)}</text>`);
  const ground = markup`${rows}${columns}
    <line class="base" x1="${left}" x2="${size.width - right}" y1="${floor}" y2="${floor}" />
    <text class="middle" x="${(left + size.width - right) / 2}" y="${size.height - 5}">${xAxis.label}</text>
    <text x="0" y="10">${yAxis.label}</text>`;
  return { x, y, ground };
}

/** Tenths of a pixel, so that pages stay small. */
export function px(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The full-height strip that shows a value when it is pointed at. */
export function hitStrip(center: number, width: number, size: Pick<Size, "height">, text: string): Markup {
  return hitBox(center - width / 2, INSET.top, width, size.height - INSET.bottom - INSET.top, text);
}

/** An area that shows a text when it is pointed at; line breaks are kept. */
export function hitBox(left: number, top: number, width: number, height: number, text: string): Markup {
  return markup`<rect class="hit" x="${px(left)}" y="${px(top)}" width="${px(width)}" height="${px(height)}"><title>${text}</title></rect>`;
}

/** @param label the chart in one sentence, for those who do not see it; the table behind it has the numbers */
export function svg(
  { width, height }: Pick<Size, "width" | "height">,
  label: string,
  ...content: readonly Content[]
): Markup {
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
    ${content}
  </svg>`;
}
