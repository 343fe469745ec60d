import type { LayerEffects } from "../../analysis/analysis.js";
import type { Interval } from "../../result.js";
import { signedNats } from "../numbers.js";
import type { Chart, Table } from "./chart.js";
import { frameOf, hitBox, INSET, px, svg, type Size } from "./frame.js";
import { familyMark, legendItem } from "./marks.js";
import { markup, NOTHING, type Markup } from "./markup.js";

/** What is left out or kept alone: a whole layer, or one half of it. */
const PARTS = [
  { part: null, title: "whole layer" },
  { part: "attention", title: "attention" },
  { part: "ffn", title: "feed-forward (MLP)" },
] as const;

type Kind = "leftOut" | "alone";

const AXES: Readonly<Record<Kind, string>> = {
  leftOut: "leaving it out costs, nats per token",
  alone: "keeping it alone gains, nats per token",
};

interface Point {
  readonly layer: number;
  readonly value: Interval;
  /** Index into {@link PARTS}. */
  readonly part: number;
}

/** What leaving each layer out costs, and what it gains alone: points with simultaneous bounds. */
export function effectsCharts(effects: LayerEffects): readonly Chart[] {
  const names: Readonly<Record<Kind, string>> = { leftOut: "left-out", alone: "alone" };
  return (["leftOut", "alone"] as const).map((kind) => ({
    name: names[kind],
    draw: (size) => draw(effects, kind, size),
    legend: legend(effects),
    table: effectsTable(effects),
  }));
}

function legend({ modules }: LayerEffects): Markup {
  const parts = modules === null ? [] : PARTS.map(({ title }, index) => legendItem(familyMark(index, 0, 0), title));
  return markup`<ul class="legend">
    ${parts}
    <li>bars: bounds that hold for all of them together</li>
  </ul>`;
}

function pointsOf({ layers, modules }: LayerEffects, kind: Kind): readonly Point[] {
  return [
    ...layers.map((it) => ({ layer: it.layer, value: it[kind], part: 0 })),
    ...(modules ?? []).map((it) => ({
      layer: it.layer,
      value: it[kind],
      part: PARTS.findIndex(({ part }) => part === it.part),
    })),
  ];
}

function draw(effects: LayerEffects, kind: Kind, size: Size): Markup {
  const points = pointsOf(effects, kind);
  const flat = { ...size, height: size.isNarrow ? 250 : 280 };
  const [low, high] = rangeOf(points.map(({ value }) => value));
  const layers = points.map(({ layer }) => layer);
  const { x, y, ground } = frameOf(
    flat,
    { domain: [Math.min(...layers) - 0.5, Math.max(...layers) + 0.5], label: "layer", format: String },
    { domain: [low, high], label: AXES[kind], format: (nats) => String(Math.round(nats * 10_000) / 10_000) },
  );
  const step = x(1) - x(0);
  // The three of one layer stand side by side.
  const at = ({ layer, part }: Point) =>
    x(layer) + (effects.modules === null ? 0 : ((part - 1) * Math.min(step, 30)) / 4);
  const zero = px(y(0));
  return svg(
    flat,
    `${AXES[kind]}: ${effects.layers.length} layers, ${proven(effects, kind)} of them proven to help.`,
    ground,
    markup`<line class="base" x1="${INSET.left}" x2="${flat.width - INSET.right}" y1="${zero}" y2="${zero}" />`,
    points.map((point) => {
      const left = at(point);
      const { value, part } = point;
      return markup`<line class="bar line-${part}" x1="${px(left)}" x2="${px(left)}" y1="${px(y(value.low))}" y2="${px(y(value.high))}" />${familyMark(part, left, y(value.mean))}`;
    }),
    points.map((point) => {
      const { value, layer, part } = point;
      const width = effects.modules === null ? step : Math.min(step, 30) / 3;
      const title = effects.modules === null ? "" : `, ${PARTS[part]?.title ?? ""}`;
      const bounds = `${signedNats(value.mean)} nats\n${boundsText(value)}`;
      return hitBox(
        at(point) - width / 2,
        INSET.top,
        width,
        flat.height - INSET.top - INSET.bottom,
        `layer ${layer}${title}\n${bounds}`,
      );
    }),
  );
}

/** An unbounded or huge interval must not flatten the others. */
function rangeOf(values: readonly Interval[]): readonly [number, number] {
  const means = values.map(({ mean }) => mean);
  const [least, most] = [Math.min(0, ...means), Math.max(0, ...means)];
  const room = (most - least || 1) * 0.75;
  const low = Math.max(least - room, Math.min(least, ...values.map((it) => it.low)));
  const high = Math.min(most + room, Math.max(most, ...values.map((it) => it.high)));
  const air = (high - low || 1) * 0.04;
  return [low - air, high + air];
}

function proven({ layers }: LayerEffects, kind: Kind): number {
  return layers.filter((it) => it[kind].low > 0).length;
}

function boundsText({ low, high }: Interval): string {
  return Number.isFinite(low) ? `${signedNats(low)} to ${signedNats(high)}` : "unbounded";
}

function effectsTable(effects: LayerEffects): Table {
  const alone = pointsOf(effects, "alone");
  const rows = pointsOf(effects, "leftOut").map((point, index) => ({ ...point, other: alone[index]?.value }));
  const text = (value: Interval) => `${signedNats(value.mean)} (${boundsText(value)})`;
  return {
    caption: "every layer, nats per token with bounds",
    columns: [
      { title: "layer", isNumber: true },
      ...(effects.modules === null ? [] : [{ title: "part" }]),
      { title: "left out costs", isNumber: true },
      { title: "alone gains", isNumber: true },
    ],
    rows: rows
      .sort((a, b) => a.layer - b.layer || a.part - b.part)
      .map(({ layer, part, value, other }) => ({
        cells: [
          layer,
          ...(effects.modules === null ? [] : [PARTS[part]?.title ?? ""]),
          text(value),
          other === undefined ? NOTHING : text(other),
        ],
      })),
  };
}
