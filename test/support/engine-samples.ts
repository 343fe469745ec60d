import { expect } from "vitest";
import type { Candidate } from "../../src/lora/candidate.js";
import type { Sample } from "../../src/data/sample.js";
import type { ScoreSession } from "../../src/engine/score-session.js";
import { boundaryCandidates, scaleCandidates } from "../../src/search/families.js";

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32, Ettinger 2017). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Samples of random token ids, the last part of each scored. Lengths differ on purpose: recurrent models then split a batch. */
export function randomSamples(lengths: readonly number[], vocabulary: number, seed: number): Sample[] {
  const random = seeded(seed);
  return lengths.map((length, index) => ({
    tokens: Int32Array.from({ length }, () => Math.floor(random() * vocabulary)),
    scored: Uint8Array.from({ length }, (_, position) => (position > 0 && position >= length / 3 ? 1 : 0)),
    group: String(index),
    line: index + 1,
  }));
}

export function candidate(
  id: string,
  layerScales: readonly number[],
  outer: readonly [number, number] = [1, 1],
): Candidate {
  return { id, family: "boundary", layerScales, inputScale: outer[0], outputScale: outer[1] };
}

/** Every boundary. */
export const allBoundaries = (layers: number) =>
  boundaryCandidates(
    layers,
    Array.from({ length: layers }, (_, layer) => layer),
  );

const onlyLayers = (layers: number, kept: (layer: number) => boolean) =>
  Array.from({ length: layers }, (_, layer) => (kept(layer) ? 1 : 0));

/** All knock-outs, some windows, global scales, and random vectors: fractions, negative strengths, zeros, shared beginnings. */
export function otherShapes(layers: number, seed: number): Candidate[] {
  const random = seeded(seed);
  const knockOuts = Array.from({ length: layers }, (_, out) =>
    candidate(
      `without:${out}`,
      onlyLayers(layers, (layer) => layer !== out),
    ),
  );
  const windows = Array.from({ length: layers }, (_, from) => {
    const to = from + Math.floor(random() * (layers - from));
    return candidate(
      `window:${from}-${to}`,
      onlyLayers(layers, (layer) => layer >= from && layer <= to),
    );
  });
  const vectors = Array.from({ length: layers }, (_, index) => {
    const begin = Math.floor(random() * layers);
    const scales = Array.from({ length: layers }, (__, layer) => {
      if (layer < begin) return index % 2;
      return random() < 0.25 ? 0 : Math.round((random() * 3 - 1) * 100) / 100;
    });
    return candidate(`random:${index}`, scales, [index % 2, random()]);
  });
  return [...knockOuts, ...windows, ...scaleCandidates(layers, [-0.5, 0.5, 0.75, 1.25]), ...vectors];
}

/** Scores, resumed and plain, of the same candidates in one session. */
export async function scoredBothWays(session: ScoreSession, candidates: readonly Candidate[]) {
  const resumed = await session.score(candidates);
  const { passes } = session.facts;
  return { resumed, plain: await session.score(candidates, { plain: true }), passes };
}

/** The names of candidates with a sample whose two scores are not the same number, bit for bit. */
export function differing(
  candidates: readonly Candidate[],
  first: readonly Float64Array[],
  second: readonly Float64Array[],
): string[] {
  expect(first).toHaveLength(candidates.length);
  return candidates.flatMap(({ id }, index) => {
    const [a, b] = [first[index]!, second[index]!];
    return a.length === b.length && a.every((score, sample) => Object.is(score, b[sample])) ? [] : [id];
  });
}
