import { curveStepAfter, line } from "d3-shape";
import type { CalibrationResult, CandidateResult, Interval } from "../../result.js";
import { intervalText, measureOf, type Measure } from "../measure.js";
import { candidateTable } from "./candidate-table.js";
import type { Chart } from "./chart.js";
import { frameOf, hitBox, svg, type Size } from "./frame.js";
import { markup, type Markup } from "./markup.js";
import { familyMark, legendItem } from "./marks.js";

interface Point {
  readonly candidate: CandidateResult;
  readonly value: Interval;
  /** Of its family in the order of appearance. */
  readonly family: number;
}

/** Every candidate of every family by its number of adapted layers; null where there is one family. */
export function familiesChart(result: CalibrationResult): Chart | null {
  const measure = measureOf(result);
  const families = [...new Set<string>(result.candidates.map(({ family }) => family))];
  if (families.length < 2) return null;
  const points = result.candidates.flatMap((candidate): Point[] => {
    const value = measure.of(candidate);
    return value === null ? [] : [{ candidate, value, family: families.indexOf(candidate.family) }];
  });
  const legend = families.map((name, index) => legendItem(familyMark(index, 0, 0), name));
  return {
    name: "families",
    draw: (size) => draw(result, points, measure, size),
    legend: markup`<ul class="legend">
      ${legend}
      <li>dashed: the best at each number of layers</li>
    </ul>`,
    table: candidateTable(result, result.candidates, "every candidate of every family"),
  };
}

function draw(result: CalibrationResult, points: readonly Point[], measure: Measure, size: Size): Markup {
  const means = points.map(({ value }) => value.mean);
  const [low, high] = [Math.min(...means, 0), Math.max(...means, measure.full)];
  const air = (high - low) * 0.06;
  const most = Math.max(1, ...points.map(({ candidate }) => candidate.adaptedLayers));
  const { x, y, ground } = frameOf(
    size,
    { domain: [0, most], label: "layers with LoRA", format: String },
    { domain: [low - air, high + air], label: measure.axis, format: measure.tick },
  );
  const pareto = [...result.pareto].sort((a, b) => a.adaptedLayers - b.adaptedLayers);
  const best = line<(typeof pareto)[number]>(
    ({ adaptedLayers }) => x(adaptedLayers),
    ({ retention }) => y(retention),
  )
    .curve(curveStepAfter)
    .digits(1);
  const frontier = measure.margin === null ? null : markup`<path class="step" d="${best(pareto) ?? ""}" />`;
  return svg(
    size,
    `${points.length} candidates by layers with LoRA and ${measure.axis}.`,
    ground,
    frontier,
    points.map(({ candidate, value, family }) => {
      const [left, top] = [x(candidate.adaptedLayers), y(value.mean)];
      const text = `${candidate.id}, ${candidate.adaptedLayers} layers\n${intervalText(value, measure)}\n${candidate.verdict}`;
      return markup`${familyMark(family, left, top)}${hitBox(left - 9, top - 9, 18, 18, text)}`;
    }),
  );
}
