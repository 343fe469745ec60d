import { UsageError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";

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
