import type { CalibrationResult, GuardCandidate, GuardSection, Verdict } from "../result.js";
import { fullAdapter, intervalText, RETENTION } from "./measure.js";
import { percent, plural } from "./numbers.js";
import { padded, tinted, type Style } from "./text.js";

/** What each candidate that could be selected does on the guard set, one line each. No lines where there is no guard. */
export function guardLines(
  result: CalibrationResult,
  style: Style,
  prose: (text: string, indent?: string) => string[],
): string[] {
  const { guard = null } = result;
  if (guard === null) return [];
  const rows = [GUARD_TITLES, ...guardRows(result, guard).map(({ cells }) => cells)];
  const widths = GUARD_TITLES.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? "").length)));
  const lines = rows.map((cells) =>
    `  ${cells.map((cell, column) => padded(cell, widths[column] ?? 0, column === 1 ? "right" : "left")).join("  ")}`.trimEnd(),
  );
  const [title = "", ...others] = lines;
  const fits = lines.every((line) => line.length <= style.width);
  const table = fits
    ? [tinted(title, "bold", style), ...others]
    : guardRows(result, guard).flatMap(({ cells }) => prose(`  ${cells.join(", ")}`, "    "));
  return [
    ...prose(guardSentence(result, guard)),
    ...(guard.state === "examined" ? table : []),
    ...guard.notices.flatMap((notice) => prose(`Notice: ${notice}`)),
  ];
}

export const GUARD_TITLES: readonly string[] = ["on the guard set", "NLL", "more than full, % (bounds)", "verdict"];

export interface GuardRow {
  readonly cells: readonly string[];
  readonly verdict: Verdict;
  readonly isChosen: boolean;
}

/** Base model and full adapter first. */
export function guardRows(result: CalibrationResult, { candidates }: GuardSection): readonly GuardRow[] {
  const full = fullAdapter(result)?.id;
  return candidates.map(({ id, mean, added, verdict }) => ({
    cells: [
      id,
      mean.toFixed(4),
      id === full ? "-" : added === null ? "unbounded" : intervalText(added, { ...RETENTION, unit: "" }),
      id === full ? "reference" : verdict,
    ],
    verdict,
    isChosen: id === result.selected?.candidate.id,
  }));
}

/** What the guard asks, and whom it kept from being selected and why. Plain text, no line breaks. */
export function guardSentence(result: CalibrationResult, guard: GuardSection): string {
  const { path, samples, groups, margin, state } = guard;
  const independent = groups < samples ? ` in ${plural(groups, "group")}` : "";
  const name = path === null ? "" : ` of ${path}`;
  const opening =
    `Guard: on ${plural(samples, "sample")}${independent}${name}, what is selected may add at most ` +
    `${percent(margin)} % to the full adapter's NLL.`;
  if (state === "nothing") return `${opening} Nothing could be selected, so nothing was scored there.`;
  if (state === "not-reached") return `${opening} The run ended before it was scored.`;
  const passed = result.selected?.candidate.id;
  const failed = guard.candidates.slice(2).filter(({ verdict }) => verdict !== "not-worse");
  const first = failed.slice(0, 3).map(reasonOf).join("; ");
  const more = failed.length > 3 ? ` and ${failed.length - 3} more` : "";
  const verdict = passed === undefined ? "" : ` ${passed} is proven not to be worse.`;
  return `${opening}${verdict}${failed.length === 0 ? "" : ` Not selected for it: ${first}${more}.`}`;
}

/** `upto:2 is worse there (+5.1 %, 4.0 to 6.2)` */
function reasonOf({ id, added, verdict }: GuardCandidate): string {
  const by = added === null ? "" : ` (adds ${intervalText(added, RETENTION)})`;
  return verdict === "worse" ? `${id} is worse there${by}` : `${id} is not proven to be no worse there${by}`;
}
