import { seededRandom, shuffledIndices } from "./resample.js";

/** Of samples held out: they judge and never rank. */
export const HELD_OUT = 2;

/**
 * Which samples a subset search ranks on and which judge: two halves that take turns, or with a holdout fold 0 that ranks
 * and fold 2 that judges. Samples of one group stay together, so that no document sits on both sides.
 *
 * @param groups group name of every sample
 * @param holdout share of the groups to keep aside, in (0, 1); default: none, two halves
 * @returns fold of every sample: 0, 1 or `HELD_OUT`
 */
export function foldsOfSamples(groups: readonly string[], seed: number, holdout?: number): Int32Array {
  const names = [...new Set(groups)];
  const place = new Map<string, number>();
  for (const [position, name] of shuffledIndices(names.length, seededRandom(seed, 6)).entries()) {
    place.set(names[name] ?? "", position);
  }
  const aside = holdout === undefined ? 0 : Math.min(names.length - 1, Math.max(1, Math.round(names.length * holdout)));
  return Int32Array.from(groups, (group) => {
    const position = place.get(group) ?? 0;
    if (holdout !== undefined) return position < aside ? HELD_OUT : 0;
    return position % 2;
  });
}
