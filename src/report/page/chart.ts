import type { Size } from "./frame.js";
import { NARROW, WIDE } from "./frame.js";
import { markup, NOTHING, type Content, type Markup } from "./markup.js";

/** One chart with its numbers. */
export interface Chart {
  /** Of its file with `--svg`: `curve`. */
  readonly name: string;
  readonly draw: (size: Size) => Markup;
  readonly legend: Content;
  readonly table: Table;
}

export interface TableColumn {
  readonly title: string;
  readonly isNumber?: boolean;
}

export interface TableRow {
  readonly cells: readonly Content[];
  readonly isChosen?: boolean;
}

export interface Table {
  readonly caption: string;
  readonly columns: readonly TableColumn[];
  readonly rows: readonly TableRow[];
}

/** Rows beyond which a table is left out of a print. */
const MOST_PRINTED_ROWS = 100;

/** Chart, legend, and the table behind it. */
export function figure(chart: Chart): Markup {
  return markup`${picture(chart)}${foldedTable(chart.table)}`;
}

function picture({ draw, legend }: Chart): Markup {
  return markup`<figure>
    <div class="wide">${draw(WIDE)}</div>
    <div class="narrow">${draw(NARROW)}</div>
    ${legend}
  </figure> `;
}

/** Several charts of the same numbers, with one table behind them all. */
export function figures(charts: readonly Chart[]): Markup {
  const last = charts.at(-1);
  if (last === undefined) return NOTHING;
  return markup`${charts.map((chart) => picture(chart))}${foldedTable(last.table)}`;
}

export function foldedTable(table: Table): Markup {
  const print = table.rows.length <= MOST_PRINTED_ROWS ? markup` data-print` : null;
  return markup`<details${print}><summary>The numbers: ${table.caption}</summary>${scrollingTable(table)}</details>`;
}

/** Wide tables scroll in a region of their own, which the keyboard can reach. */
export function scrollingTable({ caption, columns, rows }: Table): Markup {
  const head = columns.map(({ title, isNumber }) => markup`<th scope="col" ${numeric(isNumber)}>${title}</th>`);
  const body = rows.map(({ cells, isChosen }) => {
    const [first = null, ...rest] = cells;
    const others = rest.map((cell, index) => markup`<td${numeric(columns[index + 1]?.isNumber)}>${cell}</td>`);
    const chosen = isChosen === true ? markup` class="chosen"` : null;
    return markup`<tr${chosen}><th scope="row"${numeric(columns[0]?.isNumber)}>${first}</th>${others}</tr>
`;
  });
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}

function numeric(isNumber: boolean | undefined): Markup | null {
  return isNumber === true ? markup` class="number"` : null;
}
