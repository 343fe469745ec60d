import { basename } from "node:path";
import type { CalibrationResult, CandidateResult, Verdict } from "../result.js";
import { boundaryOf } from "./measure.js";

/** One of several results, under a name that tells it from the others. */
export interface ComparedResult {
  readonly label: string;
  readonly result: CalibrationResult;
  /** Boundaries only, ascending. */
  readonly curve: readonly CurvePoint[];
  readonly chosen: CandidateResult | null;
}

export interface CurvePoint {
  readonly boundary: number;
  /** boundary / L. */
  readonly depth: number;
  readonly candidate: CandidateResult;
}

/** What one result says of the cut that another one has chosen. */
export interface Transfer {
  /** Found on this one. */
  readonly from: ComparedResult;
  /** Asked of this one. */
  readonly to: ComparedResult;
  /** There: the same candidate, or where the models' depths differ the boundary at the nearest relative depth. */
  readonly candidate: CandidateResult | null;
  readonly isSame: boolean;
  readonly verdict: Verdict | null;
}

export interface Comparison {
  readonly results: readonly ComparedResult[];
  /** Whether all models have one number of layers. */
  readonly sameDepth: boolean;
  /** Every chosen cut, asked of every other result. */
  readonly transfers: readonly Transfer[];
}

/** Sets results side by side; pure. */
export function compareResults(results: readonly CalibrationResult[]): Comparison {
  const labels = labelsOf(results);
  const compared = results.map((result, index): ComparedResult => ({
    label: labels[index] ?? "",
    result,
    curve: result.candidates.flatMap((candidate) => {
      const boundary = boundaryOf(candidate);
      return boundary === null ? [] : [{ boundary, depth: boundary / result.model.layers, candidate }];
    }),
    chosen: result.candidates.find(({ id }) => id === result.selected?.candidate.id) ?? null,
  }));
  const transfers = compared.flatMap((from) =>
    compared.flatMap((to) => (from === to || from.chosen === null ? [] : transferOf(from, from.chosen, to))),
  );
  return { results: compared, sameDepth: new Set(results.map(({ model }) => model.layers)).size <= 1, transfers };
}

function transferOf(from: ComparedResult, chosen: CandidateResult, to: ComparedResult): Transfer {
  const layers = from.result.model.layers;
  const boundary = boundaryOf(chosen);
  const isSame = layers === to.result.model.layers;
  const candidate = isSame
    ? to.result.candidates.find(({ id }) => id === chosen.id)
    : boundary === null
      ? undefined
      : nearest(to.curve, boundary / layers);
  return { from, to, isSame, candidate: candidate ?? null, verdict: candidate?.verdict ?? null };
}

function nearest(curve: readonly CurvePoint[], depth: number): CandidateResult | undefined {
  const distance = (point: CurvePoint): number => Math.abs(point.depth - depth);
  return [...curve].sort((a, b) => distance(a) - distance(b) || a.boundary - b.boundary)[0]?.candidate;
}

/** The shortest names that differ: what all results share is left out; numbers where nothing differs. */
function labelsOf(results: readonly CalibrationResult[]): readonly string[] {
  const parts = results.map(({ model, adapter, data }) => [
    // Its quantisation is a part of its own.
    basename(model.path, ".gguf").replace(new RegExp(`[-._]?${escapeRegExp(model.quantization)}$`, "i"), ""),
    model.quantization,
    basename(adapter.path, ".gguf"),
    data.path === null ? "samples in memory" : basename(data.path, ".jsonl"),
    `seed ${data.seed}`,
  ]);
  const telling = [0, 1, 2, 3, 4].filter((column) => new Set(parts.map((row) => row[column])).size > 1);
  const labels = parts.map((row) => telling.map((column) => row[column]).join(", "));
  return labels.map((label, index) => {
    if (labels.indexOf(label) === index && labels.lastIndexOf(label) === index && label !== "") return label;
    return label === "" ? `result ${index + 1}` : `${label} (${index + 1})`;
  });
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Is the cut that is found on one still right on the other? One sentence per transfer. */
export function transferSentence({ from, to, candidate, isSame, verdict }: Transfer): string {
  const cut = from.chosen?.id ?? "";
  const asked = `The cut found on ${from.label} (${cut})`;
  if (candidate === null || verdict === null) return `${asked} was not scored on ${to.label}.`;
  const there = isSame ? "" : `, there nearest in depth ${candidate.id},`;
  switch (verdict) {
    case "better":
      return `${asked}${there} is proven better than the full adapter on ${to.label} too.`;
    case "not-worse":
      return `${asked}${there} is proven right on ${to.label} too.`;
    case "worse":
      return `${asked}${there} is proven to lose more than the margin on ${to.label}.`;
    case "unproven":
      return `${asked}${there} is unproven on ${to.label}: the samples there cannot tell.`;
  }
}
