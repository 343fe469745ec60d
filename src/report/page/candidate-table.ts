import type { CalibrationResult, CandidateResult } from "../../result.js";
import { fullAdapter, intervalText, measureOf } from "../measure.js";
import { signedNats } from "../numbers.js";
import type { Table, TableColumn } from "./chart.js";
import { markup, type Markup } from "./markup.js";

const COLUMNS: readonly TableColumn[] = [
  { title: "candidate" },
  { title: "layers", isNumber: true },
  { title: "NLL", isNumber: true },
  { title: "gain over full", isNumber: true },
  { title: "kept (bounds)", isNumber: true },
  { title: "samples", isNumber: true },
  { title: "verdict" },
];

/** One row per candidate, the chosen one marked. */
export function candidateTable(
  result: CalibrationResult,
  candidates: readonly CandidateResult[],
  caption: string,
): Table {
  const full = fullAdapter(result);
  const measure = measureOf(result);
  return {
    caption,
    columns: COLUMNS,
    rows: candidates.map((candidate) => {
      const { id, adaptedLayers, mean, gainVsFull, retention, samples } = candidate;
      const isFull = candidate === full;
      return {
        isChosen: id === result.selected?.candidate.id,
        cells: [
          id,
          adaptedLayers,
          mean.toFixed(4),
          isFull ? "-" : signedNats(gainVsFull.mean),
          retention === null ? "-" : intervalText(retention, measure),
          samples,
          isFull ? "reference" : verdictText(candidate),
        ],
      };
    }),
  };
}

export function verdictText({ verdict }: Pick<CandidateResult, "verdict">): Markup {
  return markup`<span class="verdict-${verdict}">${verdict}</span>`;
}
