/**
 * mulberry32 (Tommy Ettinger, public domain): 32 bits of state, period 2^32, each step
 * `a += 0x6D2B79F5; t = (a ^ a >>> 15) * (a | 1); t ^= t + (t ^ t >>> 7) * (t | 61); out = t ^ t >>> 14` in 32-bit arithmetic.
 * Written out here so that a seed picks the same samples on every machine and in every version.
 * @returns a function giving the next integer in 0 .. 2^32 - 1
 */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/**
 * Picks `limit` of the items offered, each with the same chance, without knowing how many will come and without
 * keeping more than `limit` of them: algorithm R (Vitter 1985), the first `limit` entries of an inside-out
 * Fisher-Yates shuffle. Same seed and same items: same picks.
 */
export class Reservoir<Item> {
  readonly #limit: number;
  readonly #next: () => number;
  readonly #kept: { readonly index: number; readonly item: Item }[] = [];
  #offered = 0;

  /** @param limit how many to keep; Infinity keeps all and draws no random number */
  constructor(limit: number, seed: number) {
    this.#limit = limit;
    this.#next = mulberry32(seed);
  }

  offer(item: Item): void {
    const index = this.#offered++;
    if (this.#kept.length < this.#limit) {
      this.#kept.push({ index, item });
      return;
    }
    // Uniform in 0 .. index, off by less than index / 2^32.
    const slot = Math.floor((this.#next() / 2 ** 32) * (index + 1));
    if (slot < this.#limit) this.#kept[slot] = { index, item };
  }

  /** The picks, in the order in which they were offered. */
  picks(): Item[] {
    return [...this.#kept].sort((a, b) => a.index - b.index).map(({ item }) => item);
  }
}
