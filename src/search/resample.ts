/**
 * Random numbers that are the same on every machine for the same seed.
 * `Math.random` cannot be seeded, and a result must be reproducible from its JSON.
 */
export interface SeededRandom {
  /** A whole number in 0 .. 2^32 - 1. */
  nextUint32(): number;
  /** A whole number in 0 .. limit - 1, without modulo bias. */
  nextBelow(limit: number): number;
}

/**
 * sfc32 (Chris Doty-Humphrey, PractRand 2010): 128 bits of state, passes BigCrush and PractRand.
 *
 * @param seed any whole number; its lower 32 bits and the bits above them are both used
 * @param stream separates the uses of one seed (bootstrap, folds), so that they are independent
 */
export function seededRandom(seed: number, stream = 0): SeededRandom {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = stream | 0;
  let counter = 1;
  const nextUint32 = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  // The author's warm-up: nearby seeds differ in few bits of the state until it is mixed.
  for (let round = 0; round < 15; round++) nextUint32();
  const nextBelow = (limit: number): number => {
    // Rejecting the incomplete last block leaves every remainder equally likely.
    const usable = 2 ** 32 - (2 ** 32 % limit);
    let value = nextUint32();
    while (value >= usable) value = nextUint32();
    return value % limit;
  };
  return { nextUint32, nextBelow };
}

/** The numbers 0 .. count - 1 in random order (Fisher-Yates, as in Knuth, TAOCP 2, algorithm 3.4.2P). */
export function shuffledIndices(count: number, random: SeededRandom): Int32Array {
  const order = Int32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.nextBelow(last + 1);
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}
