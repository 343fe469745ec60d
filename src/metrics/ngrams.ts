/** How often each n-gram occurs, by its items joined; [0] holds the single items. */
export type NgramCounts = readonly ReadonlyMap<string, number>[];

/**
 * Counts the n-grams of all orders from 1 to `orders`.
 *
 * @param separator between the joined items; must occur in none of them, and may be empty where every item is one character
 */
export function countNgrams(items: readonly string[], orders: number, separator: string): NgramCounts {
  return Array.from({ length: orders }, (_, index) => {
    const counts = new Map<string, number>();
    for (let start = 0; start + index < items.length; start++) {
      const ngram = items.slice(start, start + index + 1).join(separator);
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
    return counts;
  });
}

/** The most that any of several texts has of each n-gram. */
export function largestCounts(all: readonly NgramCounts[], orders: number): NgramCounts {
  return Array.from({ length: orders }, (_, index) => {
    const largest = new Map<string, number>();
    for (const counts of all) {
      for (const [ngram, count] of counts[index] ?? []) largest.set(ngram, Math.max(count, largest.get(ngram) ?? 0));
    }
    return largest;
  });
}

/** Items that two bags share, each as often as both have it. */
export function sharedCount(first: ReadonlyMap<string, number>, second: ReadonlyMap<string, number>): number {
  let shared = 0;
  for (const [ngram, count] of first) shared += Math.min(count, second.get(ngram) ?? 0);
  return shared;
}

export function totalCount(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
