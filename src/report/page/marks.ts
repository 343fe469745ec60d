import {
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTimes,
  symbolTriangle,
  symbolWye,
  type SymbolType,
} from "d3-shape";
import type { Verdict } from "../../result.js";
import { px } from "./frame.js";
import { markup, type Markup } from "./markup.js";

export type Mark = Verdict | "reference";

/** Each verdict has a shape of its own, so that colour is never all there is. */
const SHAPES: Readonly<Record<Mark, readonly [type: SymbolType, area: number]>> = {
  better: [symbolTriangle, 70],
  "not-worse": [symbolCircle, 60],
  unproven: [symbolCircle, 50],
  worse: [symbolCircle, 22],
  reference: [symbolDiamond, 60],
};

const MEANINGS: Readonly<Record<Mark, string>> = {
  better: "proven better",
  "not-worse": "proven not worse than the margin",
  unproven: "unproven",
  worse: "proven worse",
  reference: "full adapter",
};

export function mark(kind: Mark, x: number, y: number): Markup {
  const [type, area] = SHAPES[kind];
  return markup`<path class="mark ${kind}" transform="translate(${px(x)},${px(y)})" d="${path(type, area)}" />`;
}

/** More shapes than colours, so that no two of many families look the same. */
const FAMILY_SHAPES: readonly SymbolType[] = [
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolTriangle,
  symbolWye,
  symbolCross,
  symbolStar,
];

/** Colours of families and results in the style sheet: `family-0` and on. */
export const FAMILY_COLORS = 5;

/** Of the `index`th family or result. */
export function familyMark(index: number, x: number, y: number): Markup {
  const d = path(FAMILY_SHAPES[index % FAMILY_SHAPES.length] ?? symbolCircle, 46);
  return markup`<path class="family-${index % FAMILY_COLORS}" transform="translate(${px(x)},${px(y)})" d="${d}" />`;
}

/** What is shown without bounds. */
export type Estimate = "unboosted" | "random";

export function estimateMark(kind: Estimate, x: number, y: number): Markup {
  const d = path(kind === "random" ? symbolTimes : symbolSquare, 34);
  return markup`<path class="estimate" transform="translate(${px(x)},${px(y)})" d="${d}" />`;
}

function path(type: SymbolType, area: number): string {
  return symbol().type(type).size(area).digits(1)() ?? "";
}

export function legendItem(sign: Markup, text: string): Markup {
  return markup`<li><svg viewBox="-7 -7 14 14" aria-hidden="true">${sign}</svg>${text}</li>`;
}

/** Of the marks that occur. */
export function verdictLegend(kinds: readonly Mark[]): Markup {
  const present = (Object.keys(SHAPES) as Mark[]).filter((kind) => kinds.includes(kind));
  return markup`<ul class="legend">
    ${present.map((kind) => legendItem(mark(kind, 0, 0), MEANINGS[kind]))}
  </ul>`;
}
