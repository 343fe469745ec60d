import { area, line } from "d3-shape";
import type { CalibrationResult } from "../../result.js";
import { comparisonRow } from "../comparison-view.js";
import { compareResults, transferSentence, type ComparedResult, type Comparison } from "../comparison.js";
import { intervalText, measureOf } from "../measure.js";
import { plural } from "../numbers.js";
import { figure, scrollingTable, type Chart } from "./chart.js";
import { documentOf } from "./document.js";
import { frameOf, hitBox, svg, type Size } from "./frame.js";
import { familyMark, legendItem } from "./marks.js";
import { markup, type Markup } from "./markup.js";
import { section } from "./sections.js";

/** Lines that can be told apart in one chart. */
const KINDS = 5;

/** Several calibrations on one page: one table, one chart, and whether the cut of one holds on the others. Pure. */
export function renderComparisonPage(results: readonly CalibrationResult[]): string {
  const comparison = compareResults(results);
  const cuts = comparison.results.flatMap(({ chosen }) => chosen?.id ?? []);
  const one = new Set(cuts).size === 1 && cuts.length === results.length ? cuts[0] : undefined;
  return documentOf({
    title: `${plural(results.length, "calibration")} compared`,
    eyebrow: comparison.results.map(({ label }) => label).join("; "),
    headline: one === undefined ? `${plural(results.length, "result")}, side by side` : `One cut for all: ${one}`,
    lead: comparison.transfers.map((transfer) => markup`<p class="lead">${transferSentence(transfer)}</p>`),
    main: [
      section("Model by data", scrollingTable(tableOf(comparison))),
      section("The curves", markup`<p class="quiet">${axisNote(comparison)}</p>`, figure(comparisonChart(comparison))),
      section("Each result", comparison.results.map(detail)),
    ],
    footer: "Made by lora-boundary. This page is one file and loads nothing.",
  }).toString();
}

function axisNote({ sameDepth }: Comparison): string {
  return sameDepth
    ? "What each boundary keeps of its own adapter's gain, with simultaneous bands."
    : "The models differ in depth, so boundaries stand at their share of the layers.";
}

function tableOf({ results }: Comparison) {
  return {
    caption: "what was found on each",
    columns: [
      { title: "result" },
      { title: "cut" },
      { title: "layers", isNumber: true },
      { title: "depth", isNumber: true },
      { title: "kept (bounds)", isNumber: true },
      { title: "samples", isNumber: true },
      { title: "full gains, nats", isNumber: true },
      { title: "verdict" },
    ],
    rows: results.map((compared) => {
      const { cut, layers, depth, kept, samples, gain, verdict } = comparisonRow(compared);
      return { cells: [compared.label, cut, layers, depth, kept, samples, gain, verdict] };
    }),
  };
}

function detail({ label, result, chosen }: ComparedResult): Markup {
  const reason = result.selected?.reason ?? result.noSelection?.sentence ?? "The gate stopped the search.";
  return markup`<h3>${label}${chosen === null ? null : `: ${chosen.id}`}</h3>
<p class="small">${reason}</p><p class="small quiet">${result.model.path}, ${result.adapter.path}, ${result.data.path ?? "samples in memory"}</p>`;
}

export function comparisonChart(comparison: Comparison): Chart {
  const { results, sameDepth } = comparison;
  const legend = results.map(({ label }, index) => legendItem(familyMark(index, 0, 0), label));
  return {
    name: "comparison",
    draw: (size) => draw(comparison, size),
    legend: markup`<ul class="legend">${legend}</ul>`,
    table: {
      caption: "every curve",
      columns: [
        { title: "result" },
        { title: "cut" },
        { title: sameDepth ? "layers" : "depth %", isNumber: true },
        { title: "kept (bounds)", isNumber: true },
        { title: "verdict" },
      ],
      rows: results.flatMap(({ label, result, curve, chosen }) => {
        const measure = measureOf(result);
        return curve.map(({ candidate, boundary, depth }) => {
          const value = measure.of(candidate);
          return {
            isChosen: candidate === chosen,
            cells: [
              label,
              candidate.id,
              sameDepth ? boundary : (depth * 100).toFixed(1),
              value === null ? "-" : intervalText(value, measure),
              candidate.verdict,
            ],
          };
        });
      }),
    },
  };
}

function draw({ results, sameDepth }: Comparison, size: Size): Markup {
  const points = results.flatMap(({ curve }, kind) =>
    curve.flatMap(({ candidate, boundary, depth }) =>
      candidate.retention === null
        ? []
        : [{ kind, candidate, at: sameDepth ? boundary : depth * 100, value: candidate.retention }],
    ),
  );
  type Point = (typeof points)[number];
  const means = points.map(({ value }) => value.mean);
  const [low, high] = [Math.min(0, ...means), Math.max(1, ...means)];
  const air = (high - low) * 0.08;
  const { x, y, ground } = frameOf(
    size,
    {
      domain: [0, sameDepth ? (results[0]?.result.model.layers ?? 1) : 100],
      label: sameDepth ? "layers that keep their LoRA, from below" : "share of the layers that keep their LoRA, %",
      format: String,
    },
    { domain: [low - air, high + air], label: "kept %", format: (share) => String(Math.round(share * 100)) },
  );
  const curve = line<Point>(
    ({ at }) => x(at),
    ({ value }) => y(value.mean),
  ).digits(1);
  const band = area<Point>()
    .x(({ at }) => x(at))
    .y0(({ value }) => y(value.low))
    .y1(({ value }) => y(value.high))
    .digits(1);
  const series = results.map((_, kind) => points.filter((point) => point.kind === kind));
  return svg(
    size,
    `${plural(results.length, "curve")} of what each boundary keeps.`,
    ground,
    series.map((own, kind) => markup`<path class="area-${kind % KINDS}" d="${band(own) ?? ""}" />`),
    series.map((own, kind) => markup`<path class="curve line-${kind % KINDS}" d="${curve(own) ?? ""}" />`),
    points.map(({ kind, at, value }) => familyMark(kind, x(at), y(value.mean))),
    points.map(({ kind, candidate, at, value }) => {
      const { label, result } = results[kind] ?? { label: "", result: null };
      const text = result === null ? "" : intervalText(value, measureOf(result));
      return hitBox(x(at) - 7, y(value.mean) - 9, 14, 18, `${label}\n${candidate.id}\n${text}\n${candidate.verdict}`);
    }),
  );
}
