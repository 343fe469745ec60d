import { scoredCount, type Sample } from "../data/sample.js";
import type { NativeShape } from "../native/types.js";
import { packBatches, type Batch } from "./pack-batches.js";

/** The part of a context's shape that follows from the samples. */
export type SampleShape = Pick<NativeShape, "maxTokens" | "maxSequences" | "maxRows" | "rowsOfSequence">;

/** Samples in their batches, with what follows from their lengths. */
export class PackedSamples {
  readonly samples: readonly Sample[];
  readonly batches: readonly Batch[];
  /** Largest number of tokens that a batch may have. */
  readonly batchTokens: number;
  /** Of all samples together, as computed: the last token of each predicts nothing and is left out. */
  readonly tokens: number;
  /** Scored tokens of each sample. */
  readonly scored: Int32Array;

  /** Tokens of each batch, as computed. */
  readonly batchLengths: readonly number[];

  /** @param batchTokens a longer sample makes it as large as itself */
  constructor(samples: readonly Sample[], batchTokens: number) {
    const lengths = samples.map(computedTokens);
    this.samples = samples;
    this.batchTokens = lengths.reduce((most, length) => Math.max(most, length), batchTokens);
    this.batches = packBatches(lengths, this.batchTokens);
    this.batchLengths = this.batches.map((batch) => batch.reduce((sum, sample) => sum + (lengths[sample] ?? 0), 0));
    this.tokens = lengths.reduce((sum, length) => sum + length, 0);
    this.scored = Int32Array.from(samples, scoredCount);
  }

  samplesOf(batch: Batch): Sample[] {
    return batch.flatMap((index) => this.samples[index] ?? []);
  }

  tokensOf(batch: Batch): number {
    return this.samplesOf(batch).reduce((sum, sample) => sum + computedTokens(sample), 0);
  }

  /** Share of all tokens that lie in these batches. */
  shareOf(batches: readonly number[]): number {
    return batches.reduce((sum, batch) => sum + (this.batchLengths[batch] ?? 0), 0) / this.tokens;
  }

  /** What a context must hold for any of the batches. */
  shape(): SampleShape {
    const largest = (size: (batch: Batch) => number) =>
      this.batches.reduce((most, batch) => Math.max(most, size(batch)), 0);
    return {
      maxTokens: largest((batch) => this.tokensOf(batch)),
      maxSequences: largest((batch) => batch.length),
      maxRows: largest((batch) => batch.reduce((sum, sample) => sum + (this.scored[sample] ?? 0), 0)),
      rowsOfSequence: this.scored.reduce((most, count) => Math.max(most, count), 0),
    };
  }
}

function computedTokens({ tokens }: Sample): number {
  return tokens.length - 1;
}
