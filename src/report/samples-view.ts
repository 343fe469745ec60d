import type { CalibrationResult } from "../result.js";
import { count, percent, signedNats } from "./numbers.js";
import { compareSamples } from "./sample-differences.js";
import { wrapped, type Style } from "./text.js";

/** How many samples fare better and worse than under the full adapter, and which most; no lines where none can be compared. */
export function samplesLines(result: CalibrationResult, { width }: Style): string[] {
  const comparison = compareSamples(result);
  if (comparison === null || !comparison.isChosen) return [];
  const { candidate, differences } = comparison;
  const wins = differences.filter(({ gain }) => gain > 0).length;
  const losses = differences.filter(({ gain }) => gain < 0);
  const [best, worst] = [differences[0], differences.at(-1)];
  const most =
    best === undefined || worst === undefined || losses.length === 0
      ? ""
      : ` Most: ${signedNats(best.gain)} in line ${best.line}, ${signedNats(worst.gain)} in line ${worst.line}.`;
  return wrapped(
    `Sample by sample: ${candidate.id} predicts ${count(wins)} of ${count(differences.length)} better than the full adapter ` +
      `(${percent(wins / differences.length)} %), ${count(losses.length)} worse.${most}`,
    width,
  );
}
