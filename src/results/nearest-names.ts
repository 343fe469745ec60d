/** Names this many edits apart have nothing to do with each other. */
const MOST_EDITS = 3;

/**
 * Known names that a mistyped one may have meant, fewest edits first; ties in the given order.
 *
 * @param most how many to return
 */
export function nearestNames(name: string, known: readonly string[], most = 3): readonly string[] {
  return known
    .map((it) => ({ it, edits: editsBetween(name, it) }))
    .filter(({ it, edits }) => edits <= Math.min(MOST_EDITS, it.length / 2))
    .sort((a, b) => a.edits - b.edits)
    .slice(0, most)
    .map(({ it }) => it);
}

/** Insertions, deletions and replacements of a character that make one of the other (Levenshtein 1966). */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (to[column - 1] === from[index] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
