import { seededRandom, type SeededRandom } from "../../src/search/resample.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { cut } from "./search-scores.js";

export interface Curve {
  /** True loss of every boundary 0 .. L against the full adapter, as a share of the adapter's gain; [L] is 0. */
  readonly losses: readonly number[];
  readonly samples: number;
  readonly seed: number;
  /** The adapter's gain, nats. */
  readonly gain?: number;
  /** Per-sample sd that each boundary adds to the one above it, nats; real adapters: about 0.03. */
  readonly step?: number;
  /** Samples per group; noise is shared inside a group in full. */
  readonly perGroup?: number;
}

/**
 * Sum of eight exponentials, centred: mean 0, sd 1, skewness 0.71. On the real adapter full - cut has skewness -0.05 to -0.5;
 * this is a little worse, in the same direction (few samples lose much), which flatters a mean of few samples.
 */
export function skewedNoise(random: SeededRandom): number {
  let product = 1;
  for (let part = 0; part < 8; part++) product *= (random.nextUint32() + 1) / (2 ** 32 + 1);
  return (-Math.log(product) - 8) / Math.sqrt(8);
}

/** Standard normal, Box & Muller 1958. */
export function normalNoise(random: SeededRandom): number {
  const radius = Math.sqrt(-2 * Math.log((random.nextUint32() + 1) / (2 ** 32 + 1)));
  return radius * Math.cos((2 * Math.PI * random.nextUint32()) / 2 ** 32);
}

/**
 * Scores with a known truth. Differences between neighbouring boundaries are independent and skewed, so that the noise
 * of full - upto:b grows with the distance, as on real adapters.
 */
export function curveTable({ losses, samples, seed, gain = 1, step = 0.03, perGroup = 1 }: Curve): ScoreTable {
  const random = seededRandom(seed, 7);
  const layers = losses.length - 1;
  const perSample = losses.map(() => new Float64Array(samples));
  const groups = Array.from({ length: samples }, (_, sample) => `g${Math.floor(sample / perGroup)}`);
  for (let sample = 0; sample < samples; sample++) {
    if (sample % perGroup !== 0) {
      for (const scores of perSample) scores[sample] = scores[sample - 1]!;
      continue;
    }
    let walk = 0;
    const level = 1.5 + 0.3 * normalNoise(random);
    const size = gain * (1 + 0.3 * normalNoise(random));
    for (let boundary = layers; boundary >= 0; boundary--) {
      if (boundary < layers) walk += step * skewedNoise(random);
      // The loss is the same share for every sample, so that retention is what `losses` says.
      perSample[boundary]![sample] = level + losses[boundary]! * size + walk;
    }
  }
  return {
    candidates: losses.map((_, boundary) => cut(layers, boundary)),
    perSample,
    tokens: new Int32Array(samples).fill(30),
    groups,
  };
}

/** Losses that are the same for every cut; the base model loses everything. */
export function flatLosses(layers: number, loss: number): number[] {
  return Array.from({ length: layers + 1 }, (_, boundary) => (boundary === layers ? 0 : boundary === 0 ? 1 : loss));
}

export function allLayers(layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => layer);
}
