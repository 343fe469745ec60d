import { curveStepAfter, line } from "d3-shape";
import type { CalibrationResult, CandidateResult, Interval } from "../../result.js";
import { intervalText, measureOf, valueText, type Measure } from "../measure.js";
import { candidateTable } from "./candidate-table.js";
import type { Chart } from "./chart.js";
import { frameOf, hitBox, px, svg, type Size } from "./frame.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { estimateMark, FAMILY_COLORS, familyMark, legendItem, type Estimate } from "./marks.js";

interface Point {
  readonly candidate: CandidateResult;
  readonly value: Interval;
  /** Of its family in the order of appearance. */
  readonly family: number;
}

/** What is known without bounds: a subset without its boost, or a random one of its size. */
interface Guess {
  readonly kind: Estimate;
  readonly adaptedLayers: number;
  readonly kept: number;
  readonly of: string;
}

const ESTIMATES: Readonly<Record<Estimate, string>> = {
  unboosted: "subset without boost, estimate",
  random: "random subset of the size, same boost, estimate",
};

/** Families whose candidates are one curve. */
const CURVES: readonly string[] = ["boundary", "subset"];

/** Every candidate of every family by its number of adapted layers; null where there is one family. */
export function familiesChart(result: CalibrationResult): Chart | null {
  const measure = measureOf(result);
  const families = [...new Set<string>(result.candidates.map(({ family }) => family))];
  if (families.length < 2) return null;
  const points = result.candidates.flatMap((candidate): Point[] => {
    const value = measure.of(candidate);
    return value === null ? [] : [{ candidate, value, family: families.indexOf(candidate.family) }];
  });
  const guesses = measure.margin === null ? [] : guessesOf(result);
  const legend = families.map((name, index) => legendItem(familyMark(index, 0, 0), name));
  const estimates = (Object.keys(ESTIMATES) as Estimate[]).filter((kind) => guesses.some((it) => it.kind === kind));
  return {
    name: "families",
    draw: (size) => draw(result, { points, guesses, families }, measure, size),
    legend: markup`<ul class="legend">
      ${legend}${estimates.map((kind) => legendItem(estimateMark(kind, 0, 0), ESTIMATES[kind]))}
      <li>dashed: the best at each number of layers</li>
    </ul>`,
    table: candidateTable(result, result.candidates, "every candidate of every family"),
  };
}

function guessesOf({ subset }: CalibrationResult): readonly Guess[] {
  return (subset?.points ?? []).flatMap(({ id, adaptedLayers, shown }): Guess[] => [
    ...(shown.unboosted === null ? [] : [{ kind: "unboosted" as const, adaptedLayers, kept: shown.unboosted, of: id }]),
    ...shown.random.map((kept) => ({ kind: "random" as const, adaptedLayers, kept, of: id })),
  ]);
}

interface Drawn {
  readonly points: readonly Point[];
  readonly guesses: readonly Guess[];
  readonly families: readonly string[];
}

function draw(result: CalibrationResult, { points, guesses, families }: Drawn, measure: Measure, size: Size): Markup {
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
  const curve = line<Point>(
    ({ candidate }) => x(candidate.adaptedLayers),
    ({ value }) => y(value.mean),
  ).digits(1);
  const curves = CURVES.map((name) => {
    const own = points
      .filter(({ candidate }) => candidate.family === name)
      .sort((a, b) => a.candidate.adaptedLayers - b.candidate.adaptedLayers);
    const kind = families.indexOf(name) % FAMILY_COLORS;
    return own.length < 2 ? NOTHING : markup`<path class="curve thin line-${kind}" d="${curve(own) ?? ""}" />`;
  });
  return svg(
    size,
    `${points.length} candidates by layers with LoRA and ${measure.axis}.`,
    ground,
    frontier,
    // Below the axis they are drawn on its floor; the table has their numbers.
    guesses.map(({ kind, adaptedLayers, kept, of }) => {
      const [left, top] = [x(adaptedLayers), y(kept)];
      const text = `${ESTIMATES[kind]}\n${valueText(kept, measure)}\nsize of ${shortened(of)}`;
      return markup`${estimateMark(kind, left, top)}${hitBox(left - 7, top - 7, 14, 14, text)}`;
    }),
    curves,
    points.map(({ candidate, value, family }) => {
      const [left, top] = [x(candidate.adaptedLayers), y(value.mean)];
      const text = `${shortened(candidate.id)}, ${candidate.adaptedLayers} layers\n${intervalText(value, measure)}\n${candidate.verdict}`;
      const whisker =
        candidate.family === "subset"
          ? markup`<line class="bar line-${family % FAMILY_COLORS}" x1="${px(left)}" x2="${px(left)}" y1="${px(y(value.low))}" y2="${px(y(value.high))}" />`
          : NOTHING;
      return markup`${whisker}${familyMark(family, left, top)}${hitBox(left - 9, top - 9, 18, 18, text)}`;
    }),
  );
}

/** Names of subsets say every layer that is out. */
function shortened(id: string): string {
  return id.length <= 60 ? id : `${id.slice(0, 57)}...`;
}
