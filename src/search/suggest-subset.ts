import type { SearchOutcome } from "./search.js";
import type { SearchScorer } from "./scorer.js";
import { alternatingFolds, subsetPasses } from "./subset.js";

/** What a subset search would take; asked for only where one is suggested. */
export interface SubsetEffort {
  readonly passes: () => Promise<number>;
  readonly secondsPerPass: () => Promise<number>;
}

/** Passes of a subset search with the packing that the scorer has. */
export function suggestedPasses(scorer: SearchScorer): Promise<number> {
  return subsetPasses(scorer, alternatingFolds(scorer.batches.length));
}

/** What a suggestion follows from. */
export interface SuggestedFrom extends Pick<SearchOutcome, "subset" | "selected" | "gate" | "candidates"> {
  readonly stoppedIn: string | null;
}

/** Below these a subset search has too little to work with. */
const FEWEST_LAYERS = 8;
const FEWEST_SAMPLES = 32;
/** Where this share of the layers stays, there may be more to cut. */
const MUCH_LEFT = 0.75;

/**
 * One sentence for a search that found little to cut: layers that cannot go together from the top may go one by one.
 *
 * @returns null where a subset search was run, much was cut, or the samples are too few for one
 */
export async function suggestSubset(
  { subset, selected, gate, candidates, stoppedIn }: SuggestedFrom,
  { coveredLayers, groups }: Pick<SearchScorer, "coveredLayers" | "groups">,
  { passes, secondsPerPass }: SubsetEffort,
): Promise<string | null> {
  if (subset !== null || stoppedIn !== null || !gate.passed) return null;
  if (coveredLayers.length < FEWEST_LAYERS || new Set(groups).size < FEWEST_SAMPLES) return null;
  const chosen = candidates.find(({ id }) => id === selected?.candidate.id);
  if (chosen !== undefined && chosen.adaptedLayers < MUCH_LEFT * coveredLayers.length) return null;
  const planned = await passes();
  const minutes = Math.ceil((planned * (await secondsPerPass())) / 60);
  const time = minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
  return `A subset search may find more to cut: --families boundary,subset, about ${planned.toFixed(0)} passes, ${time} at this speed.`;
}
