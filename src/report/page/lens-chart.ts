import { area, line } from "d3-shape";
import type { Lens, LensLayer, Reading } from "../../analysis/analysis.js";
import { rankError } from "../analysis.js";
import { percent } from "../numbers.js";
import type { Chart, Table } from "./chart.js";
import { frameOf, hitStrip, INSET, px, svg, type Size } from "./frame.js";
import { legendItem } from "./marks.js";
import { markup, NOTHING, type Markup } from "./markup.js";

/** What of a reading is drawn, from the layers below to the answer. */
interface LensMeasure {
  readonly name: string;
  readonly of: (layer: LensLayer) => Reading;
  readonly axis: string;
  readonly tick: (value: number) => string;
  readonly text: (value: number) => string;
}

const MEASURES: readonly LensMeasure[] = [
  {
    name: "lens-nll",
    of: ({ nll }) => nll,
    axis: "NLL of the true token, nats",
    tick: String,
    text: (nats) => `${nats.toFixed(3)} nats`,
  },
  {
    name: "lens-probability",
    of: ({ probability }) => probability,
    axis: "probability of the true token, %",
    tick: (share) => String(Math.round(share * 1000) / 10),
    text: (share) => `${percent(share)} %`,
  },
];

/** NLL and probability of the true token by layer, base model and full adapter, with standard errors as bands. */
export function lensCharts(lens: Lens): readonly Chart[] {
  return MEASURES.map((measure) => ({
    name: measure.name,
    draw: (size) => draw(lens, measure, size),
    legend: legend(lens),
    table: lensTable(lens),
  }));
}

function legend({ knee }: Lens): Markup {
  const sign = (kind: string) => markup`<line class="${kind}" x1="-7" x2="7" y1="0" y2="0" />`;
  return markup`<ul class="legend">
    ${legendItem(sign("curve"), "full adapter")}${legendItem(sign("curve second"), "base model")}
    <li>bands: one standard error</li>
    ${knee === null ? NOTHING : legendItem(sign("margin"), "the knee, a hint")}
  </ul>`;
}

function draw({ base, full, knee }: Lens, measure: LensMeasure, size: Size): Markup {
  const { of, axis, tick, text } = measure;
  const flat = { ...size, height: size.isNarrow ? 250 : 280 };
  const ends = [...base, ...full].map(of).flatMap(({ mean, se }) => [mean - se, mean + se]);
  const [low, high] = [Math.min(0, ...ends), Math.max(...ends)];
  const [lowest, highest] = [full[0]?.layer ?? 0, full.at(-1)?.layer ?? 1];
  const { x, y, ground } = frameOf(
    flat,
    { domain: [lowest, Math.max(highest, lowest + 1)], label: "layer", format: String },
    { domain: [low, high + (high - low) * 0.05 || 1], label: axis, format: tick },
  );
  const curve = line<LensLayer>(
    ({ layer }) => x(layer),
    (it) => y(of(it).mean),
  ).digits(1);
  const band = area<LensLayer>()
    .x(({ layer }) => x(layer))
    .y0((it) => y(of(it).mean - of(it).se))
    .y1((it) => y(of(it).mean + of(it).se))
    .digits(1);
  const series = (layers: readonly LensLayer[], kind: string) =>
    markup`<path class="band${kind}" d="${band(layers) ?? ""}" /><path class="curve${kind}" d="${curve(layers) ?? ""}" />`;
  const step = full.length > 1 ? (size.width - INSET.left - INSET.right) / (full.length - 1) : 20;
  return svg(
    flat,
    `${axis} at the output of each layer, for base model and full adapter. ${kneeText(knee)}`,
    ground,
    series(base, " second"),
    series(full, ""),
    knee === null
      ? NOTHING
      : markup`<line class="margin" x1="${px(x(knee))}" x2="${px(x(knee))}" y1="${INSET.top}" y2="${flat.height - INSET.bottom}" />`,
    full.map((layer, index) => {
      const other = base[index];
      const numbers = `adapter ${text(of(layer).mean)}${other === undefined ? "" : `\nbase ${text(of(other).mean)}`}`;
      return hitStrip(x(layer.layer), step, flat, `layer ${layer.layer}\n${numbers}`);
    }),
  );
}

function kneeText(knee: number | null): string {
  return knee === null ? "There is no knee." : `The knee is at layer ${knee}.`;
}

function lensTable({ base, full, knee }: Lens): Table {
  const number = (title: string) => ({ title, isNumber: true });
  const cells = ({ nll, probability, rank }: LensLayer) => [
    `${nll.mean.toFixed(3)} \u00b1 ${nll.se.toFixed(3)}`,
    `${percent(probability.mean)} \u00b1 ${percent(probability.se)}`,
    `${rank.mean.toFixed(1)} \u00b1 ${rankError(rank).toFixed(1)}`,
  ];
  return {
    caption: "the true token at every layer, with standard errors; rank is a geometric mean",
    columns: [
      number("layer"),
      ...["NLL, base", "probability %, base", "rank, base"].map(number),
      ...["NLL, adapter", "probability %, adapter", "rank, adapter"].map(number),
    ],
    rows: full.map((layer, index) => {
      const other = base[index];
      return {
        isChosen: layer.layer === knee,
        cells: [layer.layer, ...(other === undefined ? ["-", "-", "-"] : cells(other)), ...cells(layer)],
      };
    }),
  };
}
