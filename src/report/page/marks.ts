import {
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
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

const FAMILY_SHAPES: readonly SymbolType[] = [symbolCircle, symbolDiamond, symbolSquare, symbolTriangle, symbolWye];

/** Of the `index`th family or result. */
export function familyMark(index: number, x: number, y: number): Markup {
  const kind = index % FAMILY_SHAPES.length;
  const d = path(FAMILY_SHAPES[kind] ?? symbolCircle, 46);
  return markup`<path class="family-${kind}" transform="translate(${px(x)},${px(y)})" d="${d}" />`;
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
