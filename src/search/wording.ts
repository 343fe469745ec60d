/** A share as a percentage rounded down to one decimal, for "at least": 0.98777 -> `98.7 %`. */
export function percentAtLeast(share: number): string {
  return `${(Math.floor(share * 1000 + 1e-9) / 10).toFixed(1)} %`;
}

/** Nats with two significant digits rounded down, for "at least" of a number above 0: 0.01296 -> `0.012`. */
export function natsAtLeast(nats: number): string {
  const step = 10 ** (Math.floor(Math.log10(nats)) - 1);
  return (Math.floor(nats / step + 1e-9) * step).toPrecision(2);
}

/** A share as a percentage with one decimal, for estimates. */
export function percentAbout(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** A number of samples that an estimate gives: two significant digits claim enough. Infinity stays. */
export function roundedUp(count: number): number {
  if (count === Infinity) return count;
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, count))) - 1);
  return Math.ceil(count / step) * step;
}
