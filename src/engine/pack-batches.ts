import { seededRandom, shuffledIndices, type SeededRandom } from "../search/resample.js";

/** llama.cpp takes at most this many sequences in one batch. */
export const MOST_SEQUENCES = 256;

/** What is packed as one: a sample, or several that belong together. */
export interface Item {
  /** Tokens that it occupies. */
  readonly length: number;
  readonly sequences: number;
}

/** Sample indices of one batch, in the order in which they are packed. */
export type Batch = readonly number[];

/**
 * Packs samples into few batches of which each is a fair picture of them all, so that a search may look at its scores after
 * any number of batches: the samples, longest first, are cut into strata of as many as there are batches, and each stratum
 * is dealt out at random, one to a batch (stratified random sampling: Cochran 1977, 5). Every sample is equally likely to be
 * in any batch, and all batches are about equally full. Where a batch has no room, the sample goes to the one with the
 * most room; where none has, there is one batch more.
 *
 * The same samples, budget and seed are always packed alike: scores of two packings differ in their last digits and must
 * not be compared.
 *
 * @param items samples, or several that belong together as one
 * @param budget tokens of a batch; at least the longest sample
 * @param seed default 0
 * @returns batches of item indices
 */
export function packItems(items: readonly Item[], budget: number, seed = 0): Batch[] {
  if (items.length === 0) return [];
  const lengths = items.map(({ length }) => length);
  const sequences = items.reduce((sum, item) => sum + item.sequences, 0);
  const random = seededRandom(seed, 3);
  // Equal lengths in random order too: their order in the file may mean something.
  const order = Array.from(shuffledIndices(lengths.length, random)).sort(
    (a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0),
  );
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  let count = Math.max(1, Math.ceil(tokens / budget), Math.ceil(sequences / MOST_SEQUENCES));
  for (;;) {
    const batches = deal(order, items, budget, Math.min(count, lengths.length), random);
    if (batches !== null) return batches;
    count = Math.max(count + 1, Math.floor(count * 1.02));
  }
}

interface OpenBatch {
  room: number;
  sequences: number;
  readonly samples: number[];
}

/** Null where some sample finds no room. */
function deal(
  order: readonly number[],
  items: readonly Item[],
  budget: number,
  count: number,
  random: SeededRandom,
): Batch[] | null {
  const batches = Array.from({ length: count }, (): OpenBatch => ({ room: budget, sequences: 0, samples: [] }));
  const fits = (batch: OpenBatch | undefined, { length, sequences }: Item) =>
    batch !== undefined && batch.room >= length && batch.sequences + sequences <= MOST_SEQUENCES;
  for (let start = 0; start < order.length; start += count) {
    const turns = Array.from(shuffledIndices(count, random));
    for (const sample of order.slice(start, start + count)) {
      const item = items[sample] ?? { length: 0, sequences: 0 };
      const turn = turns.findLastIndex((index) => fits(batches[index], item));
      const [dealt] = turn < 0 ? [] : turns.splice(turn, 1);
      const batch = dealt === undefined ? roomiest(batches) : batches[dealt];
      if (batch === undefined || !fits(batch, item)) return null;
      batch.samples.push(sample);
      batch.room -= item.length;
      batch.sequences += item.sequences;
    }
  }
  return batches.map(({ samples }) => samples).filter((samples) => samples.length > 0);
}

function roomiest(batches: readonly OpenBatch[]): OpenBatch | undefined {
  return batches.reduce<OpenBatch | undefined>(
    (best, batch) => (best === undefined || batch.room > best.room ? batch : best),
    undefined,
  );
}
