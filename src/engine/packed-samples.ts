import { scoredCount, type Sample } from "../data/sample.js";
import type { NativeShape } from "../native/types.js";
import { packItems, type Batch } from "./pack-batches.js";
import { commonTokens, samplesToMeet, treeTokens } from "./shared-prefixes.js";

/** The part of a context's shape that follows from the samples. */
export type SampleShape = Pick<NativeShape, "maxTokens" | "maxSequences" | "maxRows" | "rowsOfSequence">;

export interface PackingOptions {
  /** Tokens of a batch; a longer sample makes it as large as itself. */
  readonly batchTokens: number;
  /** See `packItems`; default 0. */
  readonly seed?: number | undefined;
  /** Block of every sample: none shares a batch with another block's. */
  readonly blocks?: ArrayLike<number> | undefined;
  /** Prompts that begin alike are computed once per batch; default false. */
  readonly shares?: boolean | undefined;
}

/** Samples in their batches, with what follows from their lengths. */
export class PackedSamples {
  readonly samples: readonly Sample[];
  readonly batches: readonly Batch[];
  /** Largest number of tokens that a batch may have. */
  readonly batchTokens: number;
  /** Of all samples together, without sharing: the last token of each predicts nothing and is left out. */
  readonly tokens: number;
  /** Scored tokens of each sample. */
  readonly scored: Int32Array;

  /** Tokens of each batch, as computed. */
  readonly batchLengths: readonly number[];
  /** Whether samples that begin alike share what they begin with. */
  readonly shares: boolean;

  constructor(samples: readonly Sample[], { batchTokens, seed = 0, blocks, shares = false }: PackingOptions) {
    const lengths = samples.map(computedTokens);
    this.samples = samples;
    this.shares = shares;
    this.batchTokens = lengths.reduce((most, length) => Math.max(most, length), batchTokens);
    this.batches = packBlocks(samples, { batchTokens: this.batchTokens, seed, blocks, shares });
    this.batchLengths = this.batches.map((batch) => this.tokensOf(batch));
    this.tokens = lengths.reduce((sum, length) => sum + length, 0);
    this.scored = Int32Array.from(samples, scoredCount);
  }

  samplesOf(batch: Batch): Sample[] {
    return batch.flatMap((index) => this.samples[index] ?? []);
  }

  /** Tokens that are computed for a batch. */
  tokensOf(batch: Batch): number {
    const samples = this.samplesOf(batch);
    return this.shares ? treeTokens(samples) : samples.reduce((sum, sample) => sum + computedTokens(sample), 0);
  }

  /** What these batches compute, as a share of all tokens without sharing; of all batches below 1 where samples share. */
  shareOf(batches: readonly number[]): number {
    return batches.reduce((sum, batch) => sum + (this.batchLengths[batch] ?? 0), 0) / this.tokens;
  }

  /** Tokens of these batches' samples, without sharing. */
  sampleTokensOf(batches: readonly number[]): number {
    const indices = batches.flatMap((batch) => this.batches[batch] ?? []);
    return indices.reduce((sum, index) => sum + computedTokens(this.samples[index]), 0);
  }

  /** Share of all samples' tokens that belong to these batches, without sharing. */
  sampleShareOf(batches: readonly number[]): number {
    return this.sampleTokensOf(batches) / this.tokens;
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

interface ResolvedPacking extends PackingOptions {
  readonly seed: number;
  readonly shares: boolean;
}

/** The batches of all blocks, mixed evenly, so that any first few hold of each block its share. */
function packBlocks(samples: readonly Sample[], options: ResolvedPacking): readonly Batch[] {
  const { blocks } = options;
  const all = samples.map((_, index) => index);
  if (blocks === undefined) return packSamples(samples, all, options);
  const members = new Map<number, number[]>();
  for (const sample of all) {
    const block = blocks[sample] ?? 0;
    const known = members.get(block);
    if (known === undefined) members.set(block, [sample]);
    else known.push(sample);
  }
  return [...members]
    .sort(([a], [b]) => a - b)
    .flatMap(([, ofBlock]) => {
      const batches = packSamples(samples, ofBlock, options);
      return batches.map((batch, index) => ({ place: (index + 0.5) / batches.length, batch }));
    })
    .sort((a, b) => a.place - b.place)
    .map(({ batch }) => batch);
}

/** Batches of some of the samples. */
function packSamples(
  samples: readonly Sample[],
  indices: readonly number[],
  { batchTokens, seed, shares }: ResolvedPacking,
): readonly Batch[] {
  const chosen = indices.flatMap((index) => samples[index] ?? []);
  // What all of them begin with is there once in every batch.
  const common = shares ? commonTokens(chosen) : 0;
  const groups = shares ? samplesToMeet(chosen, batchTokens / 2) : chosen.map((_, index) => [index]);
  const items = groups.map((group) => ({
    length:
      (shares ? treeTokens(group.flatMap((it) => chosen[it] ?? [])) : computedTokens(chosen[group[0] ?? 0])) - common,
    sequences: group.length,
  }));
  return packItems(items, batchTokens - common, seed).map((batch) =>
    batch.flatMap((item) => (groups[item] ?? []).map((it) => indices[it] ?? 0)),
  );
}

function computedTokens(sample: Sample | undefined): number {
  return (sample?.tokens.length ?? 1) - 1;
}
