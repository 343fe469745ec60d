/** llama.cpp takes at most this many sequences in one batch. */
export const MOST_SEQUENCES = 256;

/** Sample indices of one batch, in the order in which they are packed. */
export type Batch = readonly number[];

/**
 * Packs samples into batches, longest first, each into the first batch with room (first-fit decreasing, within 11/9 of
 * the fewest batches: Johnson 1973). Equal lengths keep their order, so the same samples are always packed alike: scores
 * of two packings differ in their last digits and must not be compared.
 *
 * @param lengths tokens that each sample occupies
 * @param budget tokens of a batch; at least the longest sample
 */
export function packBatches(lengths: readonly number[], budget: number): Batch[] {
  const order = lengths.map((_, index) => index).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
  const open: { room: number; readonly samples: number[] }[] = [];
  for (const sample of order) {
    const length = lengths[sample] ?? 0;
    let batch = open.find(({ room, samples }) => room >= length && samples.length < MOST_SEQUENCES);
    if (batch === undefined) {
      batch = { room: budget, samples: [] };
      open.push(batch);
    }
    batch.samples.push(sample);
    batch.room -= length;
  }
  return open.map(({ samples }) => samples);
}
