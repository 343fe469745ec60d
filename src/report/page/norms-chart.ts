import type { Analysis } from "../../analysis/analysis.js";
import type { Chart } from "./chart.js";
import { frameOf, hitStrip, INSET, px, svg, type Size } from "./frame.js";
import { legendItem } from "./marks.js";
import { markup, type Markup } from "./markup.js";

type Norms = Analysis["norms"];

/** Norm of what each layer writes, attention beside feed-forward pairs; needs no data. */
export function normsChart(norms: Norms): Chart {
  const square = (kind: number) => markup`<rect class="family-${kind}" x="-5" y="-5" width="10" height="10" />`;
  return {
    name: "norms",
    draw: (size) => draw(norms, size),
    legend: markup`<ul class="legend">
      ${legendItem(square(0), "attention")}${legendItem(square(1), "feed-forward (MLP)")}
    </ul>`,
    table: {
      caption: "norm of every layer's change to the weights",
      columns: ["layer", "norm", "attention", "MLP"].map((title) => ({ title, isNumber: true })),
      rows: norms.map(({ layer, norm, attention, feedForward }) => ({
        cells: [layer, norm.toFixed(3), attention.toFixed(3), feedForward.toFixed(3)],
      })),
    },
  };
}

function draw(norms: Norms, size: Size): Markup {
  const flat = { ...size, height: size.isNarrow ? 200 : 220 };
  const layers = norms.map(({ layer }) => layer);
  const most = Math.max(...norms.flatMap(({ attention, feedForward }) => [attention, feedForward])) || 1;
  const { x, y, ground } = frameOf(
    flat,
    { domain: [Math.min(...layers) - 0.5, Math.max(...layers) + 0.5], label: "layer", format: String },
    { domain: [0, most * 1.05], label: "Frobenius norm of alpha / r B A", format: String },
  );
  const step = x(1) - x(0);
  const width = step * 0.38;
  const floor = flat.height - INSET.bottom;
  const bar = (kind: number, left: number, norm: number) =>
    markup`<rect class="family-${kind}" x="${px(left)}" y="${px(y(norm))}" width="${px(width)}" height="${px(floor - y(norm))}" />`;
  return svg(
    flat,
    `Norms of ${norms.length} layers, attention beside feed-forward pairs.`,
    ground,
    norms.map(
      ({ layer, attention, feedForward }) =>
        markup`${bar(0, x(layer) - width, attention)}${bar(1, x(layer), feedForward)}`,
    ),
    norms.map(({ layer, norm, attention, feedForward }) =>
      hitStrip(
        x(layer),
        step,
        flat,
        `layer ${layer}\nnorm ${norm.toFixed(3)}\nattention ${attention.toFixed(3)}\nMLP ${feedForward.toFixed(3)}`,
      ),
    ),
  );
}
