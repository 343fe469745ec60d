import { area, line } from "d3-shape";
import type { CalibrationResult, CandidateResult, Interval } from "../../result.js";
import { boundaryOf, fullAdapter, intervalText, measureOf, type Measure, valueText } from "../measure.js";
import { plural } from "../numbers.js";
import { candidateTable } from "./candidate-table.js";
import type { Chart } from "./chart.js";
import { frameOf, hitStrip, INSET, px, svg, type Frame, type Size } from "./frame.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { mark, verdictLegend, type Mark } from "./marks.js";

interface Point {
  readonly boundary: number;
  readonly candidate: CandidateResult;
  readonly value: Interval;
  readonly mark: Mark;
}

/** What every boundary keeps, with the band that holds for all of them at once; null with fewer than two boundaries. */
export function curveChart(result: CalibrationResult): Chart | null {
  const measure = measureOf(result);
  const points = boundaryPoints(result, measure);
  if (points.length < 2) return null;
  return {
    name: "curve",
    draw: (size) => draw(result, points, measure, size),
    legend: verdictLegend(points.map((point) => point.mark)),
    table: candidateTable(
      result,
      points.map(({ candidate }) => candidate),
      "every boundary with its bounds and verdict",
    ),
  };
}

function boundaryPoints(result: CalibrationResult, measure: Measure): readonly Point[] {
  const full = fullAdapter(result);
  return result.candidates.flatMap((candidate): Point[] => {
    const boundary = boundaryOf(candidate);
    const value = measure.of(candidate);
    if (boundary === null || value === null) return [];
    return [{ boundary, candidate, value, mark: candidate === full ? "reference" : candidate.verdict }];
  });
}

function draw(result: CalibrationResult, points: readonly Point[], measure: Measure, size: Size): Markup {
  const frame = frameOf(
    size,
    { domain: [0, points.at(-1)?.boundary ?? 1], label: "layers that keep their LoRA, from below", format: String },
    { domain: rangeOf(points, measure), label: measure.axis, format: measure.tick },
  );
  const { x, y } = frame;
  const curve = line<Point>(
    ({ boundary }) => x(boundary),
    ({ value }) => y(value.mean),
  ).digits(1);
  const band = area<Point>()
    .x(({ boundary }) => x(boundary))
    .y0(({ value }) => y(value.low))
    .y1(({ value }) => y(value.high))
    .digits(1);
  const step = points.length > 1 ? (size.width - INSET.left - INSET.right) / (points.length - 1) : 20;
  return svg(
    size,
    description(result, points, measure),
    frame.ground,
    markup`<path class="band" d="${band(points) ?? ""}" /><path class="curve" d="${curve(points) ?? ""}" />`,
    marginLine(measure, frame, size),
    points.map((point) => mark(point.mark, x(point.boundary), y(point.value.mean))),
    chosenRing(result, points, frame, size),
    points.map(({ boundary, candidate, value, mark: kind }) =>
      hitStrip(x(boundary), step, size, `${candidate.id}\n${intervalText(value, measure)}\n${kind}`),
    ),
  );
}

/** Everything that is not far out: an unbounded or huge interval must not flatten the curve. */
function rangeOf(points: readonly Point[], { full }: Measure): readonly [number, number] {
  const means = points.map(({ value }) => value.mean);
  const [least, most] = [Math.min(...means, full), Math.max(...means, full)];
  const room = (most - least || 1) * 0.5;
  const low = Math.max(least - room, Math.min(...points.map(({ value }) => value.low)));
  const high = Math.min(most + room, Math.max(...points.map(({ value }) => value.high)));
  const air = (Math.max(high, most) - Math.min(low, least) || 1) * 0.04;
  return [Math.min(low, least) - air, Math.max(high, most) + air];
}

/** The label stands where the curve, which rises to the right, leaves room: at the left, under the line. */
function marginLine(measure: Measure, { y }: Frame, size: Size): Markup {
  const { margin } = measure;
  if (margin === null) return NOTHING;
  const at = px(y(margin));
  return markup`<line class="margin" x1="${INSET.left}" x2="${size.width - INSET.right}" y1="${at}" y2="${at}" />
    <text class="margin-label" x="${INSET.left + 6}" y="${at + 15}">margin ${valueText(margin, measure)}</text>`;
}

function chosenRing({ selected }: CalibrationResult, points: readonly Point[], { x, y }: Frame, size: Size): Markup {
  const chosen = points.find(({ candidate }) => candidate.id === selected?.candidate.id);
  if (chosen === undefined) return NOTHING;
  const [left, top] = [x(chosen.boundary), y(chosen.value.mean)];
  const isRight = left > size.width / 2;
  return markup`<circle class="ring" cx="${px(left)}" cy="${px(top)}" r="8" />
    <text class="strong${isRight ? " end" : ""}" x="${px(left + (isRight ? 6 : -6))}" y="${px(top + 26)}">${chosen.candidate.id}</text>`;
}

function description(result: CalibrationResult, points: readonly Point[], measure: Measure): string {
  const chosen = points.find(({ candidate }) => candidate.id === result.selected?.candidate.id);
  const answer =
    chosen === undefined
      ? "No boundary is chosen."
      : `Chosen: ${chosen.candidate.id} at ${intervalText(chosen.value, measure)}.`;
  const [first] = points;
  const from = first === undefined ? "" : `, from ${valueText(first.value.mean, measure)} at ${first.candidate.id}`;
  return `Curve of ${plural(points.length, "boundary", "boundaries")}${from}. ${answer}`;
}
