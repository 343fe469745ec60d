/**
 * @returns what `work` gives, its wall time, and the processor's seconds that the process took meanwhile, all threads together: what a
 *   busy machine does not change
 */
export async function timed(work) {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const value = await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { value, seconds, cpuSeconds: (user + system) / 1e6 };
}

export function median(numbers) {
  const sorted = numbers.toSorted((first, second) => first - second);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The number below which this share of them lies, nearest rank. */
export function quantile(numbers, share) {
  const sorted = numbers.toSorted((first, second) => first - second);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
