import { UsageError } from "../errors.js";
import type { Candidate, Family } from "../lora/candidate.js";
import { candidateOf, scalesWithout } from "./layer-scales.js";

/** Global strengths of the control: does a plain shrinking or boosting of the whole adapter do as well as a cut? */
export const CONTROL_SCALES: readonly number[] = [0.5, 0.75, 0.9, 1.1, 1.25];

/**
 * The boundary family (the paper, arXiv 2503.23360): `upto:b` keeps LoRA in the layers 0 .. b-1.
 *
 * Only covered layers are searched: a boundary whose covered layers equal those of a smaller one computes the
 * same function and is left out. `upto:0` is the base model (the input embedding's pair is off as well), and
 * `upto:L` the full adapter (the only one with the output head's pair); both are always there, so where the
 * adapter covers no upper layer, the last class goes by the name `upto:L`.
 *
 * @param layers L, the number of layers of the model
 * @param covered layers that have at least one LoRA pair, counted from 0, any order
 * @returns ascending by boundary: `upto:0` first, `upto:L` last
 * @throws UsageError LAYERS_RANGE
 */
export function boundaryCandidates(layers: number, covered: readonly number[]): readonly Candidate[] {
  requireLayers(layers);
  requireCovered(covered, layers);
  // Layer l is what boundary l + 1 adds to boundary l.
  const boundaries = [0, ...[...new Set(covered)].sort((a, b) => a - b).map((layer) => layer + 1)];
  const highest = boundaries.length - 1;
  if (highest === 0) boundaries.push(layers);
  else boundaries[highest] = layers;
  return boundaries.map((boundary) => boundaryCandidate(layers, boundary));
}

function boundaryCandidate(layers: number, boundary: number): Candidate {
  return {
    id: `upto:${boundary}`,
    family: "boundary",
    layerScales: Array.from({ length: layers }, (_, layer) => (layer < boundary ? 1 : 0)),
    inputScale: boundary >= 1 ? 1 : 0,
    outputScale: boundary === layers ? 1 : 0,
  };
}

/**
 * The control family: the whole adapter at one strength, `scale:1.25`.
 *
 * @param layers L, the number of layers of the model
 * @param scales strengths, finite, each once; default the five of DESIGN ("Controls")
 * @returns in the given order
 * @throws UsageError LAYERS_RANGE, SCALE_RANGE
 */
export function scaleCandidates(layers: number, scales: readonly number[] = CONTROL_SCALES): readonly Candidate[] {
  requireLayers(layers);
  for (const [index, scale] of scales.entries()) {
    if (!Number.isFinite(scale) || scales.indexOf(scale) !== index) {
      throw new UsageError("SCALE_RANGE", `Expected finite, distinct numbers for \`scales\` but received ${scale}.`, {
        details: { option: "scales", scale },
      });
    }
  }
  return scales.map((scale) => ({
    id: `scale:${scale}`,
    family: "scale",
    layerScales: new Array<number>(layers).fill(scale),
    inputScale: scale,
    outputScale: scale,
  }));
}

function requireLayers(layers: number): void {
  if (Number.isInteger(layers) && layers >= 1) return;
  throw new UsageError("LAYERS_RANGE", `Expected a whole number above 0 for \`layers\` but received ${layers}.`, {
    details: { option: "layers", layers },
  });
}

function requireCovered(covered: readonly number[], layers: number): void {
  const wrong = covered.find((layer) => !Number.isInteger(layer) || layer < 0 || layer >= layers);
  if (wrong === undefined) return;
  throw new UsageError(
    "LAYERS_RANGE",
    `Expected layers from 0 to ${layers - 1} for \`covered\` but received ${wrong}: the adapter is not of this model.`,
    { details: { option: "covered", layer: wrong, layers } },
  );
}

/**
 * The prefix family: `from:a` keeps LoRA in the layers a .. L-1, for every covered layer but the lowest.
 *
 * @param covered as in `boundaryCandidates`
 */
export function prefixCandidates(layers: number, covered: readonly number[]): readonly Candidate[] {
  requireLayers(layers);
  requireCovered(covered, layers);
  const [, ...starts] = [...new Set(covered)].sort((a, b) => a - b);
  return starts.map((start) => windowCandidate(layers, start, layers - 1, "prefix"));
}

/** The knock-out family: `without:10`, each covered layer on its own. None where the adapter has but one. */
export function knockoutCandidates(layers: number, covered: readonly number[]): readonly Candidate[] {
  requireLayers(layers);
  requireCovered(covered, layers);
  const each = [...new Set(covered)].sort((a, b) => a - b);
  if (each.length < 2) return [];
  return each.map((layer) => candidateOf("knockout", scalesWithout(layers, [{ layer, part: null }], 1)));
}

/** One window: LoRA in the layers `first` .. `last`, all at `strength`. */
export function windowCandidate(
  layers: number,
  first: number,
  last: number,
  family: Family = "window",
  strength = 1,
): Candidate {
  const layerScales = Array.from({ length: layers }, (_, layer) => (layer >= first && layer <= last ? strength : 0));
  return candidateOf(family, { layerScales });
}

/**
 * Windows around the best boundary and the best prefix: each end as it is, and one and two steps of L / 16 to either side.
 *
 * @param boundary layers 0 .. boundary - 1 of the best boundary
 * @param start first layer of the best prefix
 */
export function windowsAround(layers: number, start: number, boundary: number): readonly Candidate[] {
  const step = Math.max(1, Math.round(layers / 16));
  const around = (middle: number) => [-2, -1, 0, 1, 2].map((steps) => middle + steps * step);
  return around(start).flatMap((first) =>
    around(boundary - 1).flatMap((last) =>
      first >= 1 && last <= layers - 2 && first < last ? [windowCandidate(layers, first, last)] : [],
    ),
  );
}

/** Strengths that a boosted boundary is tried at. */
export const BOUNDARY_BOOSTS: readonly number[] = [1.1, 1.25, 1.4, 1.6];

/** The boundaries at and below the best one, each at several strengths. */
export function boostedBoundaries(layers: number, boundary: number): readonly Candidate[] {
  const step = Math.max(1, Math.round(layers / 10));
  const cuts = [0, 1, 2, 3].map((steps) => boundary - steps * step).filter((cut) => cut >= 1 && cut < layers);
  return cuts.flatMap((cut) =>
    BOUNDARY_BOOSTS.map((boost) => windowCandidate(layers, 0, cut - 1, "boundary+boost", boost)),
  );
}
