import type { SearchOutcome } from "./search.js";
import type { SearchScorer } from "./scorer.js";
import { alternatingFolds, subsetPasses } from "./subset.js";

/** Below these a subset search has too little to work with. */
const FEWEST_LAYERS = 8;
const FEWEST_SAMPLES = 32;
/** Where this share of the layers stays, there may be more to cut. */
const MUCH_LEFT = 0.75;

/**
 * One sentence for a search that found little to cut: layers that cannot go together from the top may go one by one.
 *
 * @param secondsPerPass measured; 0 where nothing ran
 * @returns null where a subset search was run, much was cut, or the samples are too few for one
 */
export async function suggestSubset(
  { subset, selected, gate, candidates, stoppedIn }: SearchOutcome,
  scorer: SearchScorer,
  secondsPerPass: number,
): Promise<string | null> {
  const { coveredLayers, groups, batches } = scorer;
  if (subset !== null || stoppedIn !== null || !gate.passed) return null;
  if (coveredLayers.length < FEWEST_LAYERS || new Set(groups).size < FEWEST_SAMPLES) return null;
  const chosen = candidates.find(({ id }) => id === selected?.candidate.id);
  if (chosen !== undefined && chosen.adaptedLayers < MUCH_LEFT * coveredLayers.length) return null;
  const passes = await subsetPasses(scorer, alternatingFolds(batches.length));
  const minutes = Math.ceil((passes * secondsPerPass) / 60);
  const time = minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
  return `A subset search may find more to cut: --families boundary,subset, about ${passes.toFixed(0)} passes, ${time} at this speed.`;
}
