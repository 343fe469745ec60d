/**
 * Largest difference between two tables of scores, [candidates][samples], in nats per scored token: 0 where they are equal bit by
 * bit, infinite where one of two is not a number.
 */
export function largestDifference(first, second) {
  let largest = 0;
  for (const [candidate, scores] of first.entries()) {
    for (const [sample, score] of scores.entries()) {
      const other = second[candidate][sample];
      const difference = Object.is(score, other) ? 0 : Math.abs(score - other);
      largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference);
    }
  }
  return largest;
}
