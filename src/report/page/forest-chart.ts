import { scaleLinear } from "d3-scale";
import type { CalibrationResult, CandidateResult, Interval } from "../../result.js";
import { fullAdapter, intervalText, measureOf, type Measure, valueText } from "../measure.js";
import { candidateTable } from "./candidate-table.js";
import type { Chart } from "./chart.js";
import { hitBox, px, svg, type Size } from "./frame.js";
import { markup, type Markup } from "./markup.js";
import { mark, verdictLegend, type Mark } from "./marks.js";

const MOST_ROWS = 14;
const ROW = 26;
const TOP = 26;
const FOOT = 40;

interface Row {
  readonly candidate: CandidateResult;
  readonly value: Interval;
  readonly mark: Mark;
}

/**
 * The candidates whose verdict hangs in the balance, magnified: those whose bounds come near the margin, fewest layers
 * first, each with its interval. Null where there is no margin or nothing comes near it.
 */
export function forestChart(result: CalibrationResult): Chart | null {
  const measure = measureOf(result);
  const rows = nearest(result, measure);
  if (rows.length < 2) return null;
  return {
    name: "near-the-margin",
    draw: (size) => draw(rows, measure, size),
    legend: verdictLegend(rows.map((row) => row.mark)),
    table: candidateTable(
      result,
      rows.map(({ candidate }) => candidate),
      "the candidates near the margin",
    ),
  };
}

function nearest(result: CalibrationResult, measure: Measure): readonly Row[] {
  const { margin } = measure;
  if (margin === null) return [];
  const full = fullAdapter(result);
  const chosen = result.selected?.candidate.id;
  const far = (candidate: CandidateResult, { high }: Interval): number =>
    candidate.id === chosen ? -1 : Math.max(0, margin - high);
  return result.candidates
    .flatMap((candidate) => {
      const value = measure.of(candidate);
      const near = value !== null && value.high > margin - 4 * result.margin;
      return near ? [{ candidate, value, mark: candidate === full ? ("reference" as const) : candidate.verdict }] : [];
    })
    .sort((a, b) => far(a.candidate, a.value) - far(b.candidate, b.value))
    .slice(0, MOST_ROWS)
    .sort((a, b) => a.candidate.adaptedLayers - b.candidate.adaptedLayers);
}

function draw(rows: readonly Row[], measure: Measure, { width, isNarrow }: Size): Markup {
  const left = isNarrow ? 78 : 130;
  const right = isNarrow ? 14 : 168;
  const height = TOP + rows.length * ROW + FOOT;
  const floor = height - FOOT;
  const margin = measure.margin ?? 0;
  const finite = rows.flatMap(({ value }) => [value.low, value.high, value.mean]).filter(Number.isFinite);
  const span = Math.max(...finite, measure.full) - Math.min(...finite, margin);
  const x = scaleLinear()
    .domain([Math.min(...finite, margin) - span * 0.03, Math.max(...finite, measure.full) + span * 0.03])
    .range([left, width - right])
    .clamp(true);
  const vertical = (value: number, kind: string): Markup =>
    markup`<line class="${kind}" x1="${px(x(value))}" x2="${px(x(value))}" y1="${TOP - 6}" y2="${floor}" />`;
  const lines = rows.map(({ candidate, value, mark: kind }, index) => {
    const y = TOP + index * ROW + ROW / 2;
    const numbers = intervalText(value, measure);
    const [low, high] = [px(x(value.low)), px(x(value.high))];
    return markup`<text class="strong end" x="${left - 14}" y="${y}" dy=".32em">${shortName(candidate.id, isNarrow ? 10 : 17)}</text>
<line class="bar" x1="${low}" x2="${high}" y1="${y}" y2="${y}" />${mark(kind, x(value.mean), y)}
${isNarrow ? null : markup`<text x="${width - right + 14}" y="${y}" dy=".32em">${numbers}</text>`}
${hitBox(0, y - ROW / 2, width, ROW, `${candidate.id}\n${numbers}\n${kind}`)}`;
  });
  const ticks = x.ticks(isNarrow ? 4 : 8).map((value) => {
    const text = measure.tick(value);
    return markup`${vertical(value, "grid")}<text class="middle" x="${px(x(value))}" y="${floor + 17}">${text}</text>`;
  });
  return svg(
    { width, height },
    `Intervals of ${rows.length} candidates around the margin of ${valueText(margin, measure)}, fewest layers first.`,
    ticks,
    vertical(measure.full, "base"),
    vertical(margin, "margin"),
    markup`<text class="margin-label middle" x="${px(x(margin))}" y="12">margin</text>
      <text class="middle" x="${(left + width - right) / 2}" y="${height - 5}">${measure.axis}</text>`,
    lines,
  );
}

function shortName(id: string, characters: number): string {
  return id.length <= characters ? id : `${id.slice(0, characters - 1)}\u2026`;
}
