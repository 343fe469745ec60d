import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Candidate } from "../../src/lora/candidate.js";
import type { ScoreTable } from "../../src/search/scores.js";

/** Recorded on a real adapter; see the README beside it. Tests that use it skip where it is absent. */
export const E2E_SCORES = fileURLToPath(new URL("../../../shared/models/smollm2-135m/e2e.scores.tsv", import.meta.url));
export const haveE2eScores = existsSync(E2E_SCORES);

/** The recorded table: 31 boundaries, and on request the named global scales. */
export function e2eTable(scales: readonly string[] = []): ScoreTable {
  const rows = new Map(
    readFileSync(E2E_SCORES, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("\t"))
      .map(([name, ...values]) => [name!, values.map(Number)] as const),
  );
  const tokens = Int32Array.from(rows.get("ntok")!);
  const layers = 30;
  const boundaries = Array.from({ length: layers + 1 }, (_, boundary) => boundary);
  const candidates = [
    ...boundaries.map((boundary) => cut(layers, boundary)),
    ...scales.map((scale) => globalScale(layers, Number(scale))),
  ];
  const names = [...boundaries.map((boundary) => `upto:${boundary}`), ...scales.map((scale) => `scale:${scale}`)];
  const perSample = names.map((name) =>
    Float64Array.from(rows.get(name)!, (sum, sample) => sum / (tokens[sample] ?? NaN)),
  );
  return { candidates, perSample, tokens, groups: Array.from(tokens, (_, sample) => `s${sample}`) };
}

export function cut(layers: number, boundary: number): Candidate {
  return {
    id: `upto:${boundary}`,
    family: "boundary",
    layerScales: Array.from({ length: layers }, (_, layer) => (layer < boundary ? 1 : 0)),
    inputScale: boundary > 0 ? 1 : 0,
    outputScale: boundary === layers ? 1 : 0,
  };
}

export function globalScale(layers: number, scale: number): Candidate {
  return {
    id: `scale:${scale}`,
    family: "scale",
    layerScales: new Array<number>(layers).fill(scale),
    inputScale: scale,
    outputScale: scale,
  };
}
