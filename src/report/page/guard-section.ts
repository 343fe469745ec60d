import type { CalibrationResult } from "../../result.js";
import { GUARD_TITLES, guardRows, guardSentence } from "../guard.js";
import { verdictText } from "./candidate-table.js";
import { scrollingTable } from "./chart.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { section } from "./sections.js";

/** What the selected candidate and those that could have been do on the guard set. */
export function guardSection(result: CalibrationResult): Markup {
  const { guard = null } = result;
  if (guard === null) return NOTHING;
  const rows = guardRows(result, guard);
  return section(
    "The guard set",
    markup`<p>${guardSentence(result, guard)}</p>`,
    guard.notices.map((notice) => markup`<p class="notice">${notice}</p>`),
    rows.length === 0
      ? NOTHING
      : scrollingTable({
          caption: "what could be selected, on the guard set",
          columns: GUARD_TITLES.map((title, column) => ({ title, isNumber: column === 1 || column === 2 })),
          rows: rows.map(({ cells, verdict, isChosen }) => ({
            isChosen,
            cells: [...cells.slice(0, 3), cells[3] === "reference" ? "reference" : verdictText({ verdict })],
          })),
        }),
  );
}
