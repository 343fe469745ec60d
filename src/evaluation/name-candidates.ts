import { UsageError } from "../errors.js";
import type { NamedScales } from "../lora/candidate.js";
import type { CalibrationChoice } from "./result.js";

const NAMES =
  "base, full, upto:17, from:5, window:5-27, without:2,7, scale:1.25, the last four also with a strength (*1.3)";
/** Where a list of names is parted: not at the commas inside `without:2,7`. */
const BETWEEN = /,(?=(?:base|full|upto:|from:|window:|without:|scale:))/;

/**
 * Candidates by their names, in the grammar of DESIGN ("Words"); `base` and `full` are `upto:0` and `upto:L`. The pair below
 * layer 0 goes with layer 0 and the pair above the last layer with the last. Names in `known` are taken from there.
 *
 * @param text names, parted by commas
 * @param layers L
 * @returns the base model first, the full adapter second (both always), then the others in their order, each once
 * @throws UsageError CANDIDATE_NAME
 */
export function namedCandidates(
  text: string,
  layers: number,
  known: readonly NamedScales[] = [],
): readonly NamedScales[] {
  const asked = text
    .split(BETWEEN)
    .map((name) => name.trim())
    .map((name) => known.find(({ id }) => id === name) ?? byName(name, layers));
  const all = [byName("base", layers), byName("full", layers), ...asked];
  return all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index);
}

function byName(name: string, layers: number): NamedScales {
  const parts = /^(base|full|(upto|from|window|without|scale):([\d.,-]+)(?:\*(\d*\.?\d+))?)$/.exec(name);
  const [, whole, kind = "", argument = "", boost = "1"] = parts ?? [];
  const strength = Number(boost);
  const scaled = (isKept: (layer: number) => boolean, scale = strength) =>
    candidate(
      name,
      Array.from({ length: layers }, (_, layer) => (isKept(layer) ? scale : 0)),
    );
  if (whole === "base") return { ...scaled(() => false), id: "upto:0" };
  if (whole === "full") return { ...scaled(() => true), id: `upto:${layers}` };
  const [first = NaN, last = NaN] = argument.split("-").map(wholeNumber);
  const isLayer = (layer: number) => layer >= 0 && layer < layers;
  switch (kind) {
    case "upto":
      if (argument.includes("-") || !(first >= 0 && first <= layers)) break;
      return scaled((layer) => layer < first);
    case "from":
      if (argument.includes("-") || !isLayer(first)) break;
      return scaled((layer) => layer >= first);
    case "window":
      if (!(isLayer(first) && isLayer(last) && first <= last)) break;
      return scaled((layer) => layer >= first && layer <= last);
    case "without": {
      const out = argument.split(",").map(wholeNumber);
      if (!out.every(isLayer)) break;
      return scaled((layer) => !out.includes(layer));
    }
    case "scale": {
      const scale = Number(argument);
      if (!Number.isFinite(scale) || boost !== "1") break;
      return scaled(() => true, scale);
    }
  }
  throw new UsageError(
    "CANDIDATE_NAME",
    `Expected candidates such as ${NAMES}, with layers from 0 to ${layers - 1}, for \`--candidates\` but received \`${name}\`.`,
    { details: { option: "candidates", candidate: name, layers } },
  );
}

function wholeNumber(text: string): number {
  return /^\d{1,6}$/.test(text) ? Number(text) : NaN;
}

function candidate(id: string, layerScales: readonly number[]): NamedScales {
  return { id, layerScales, inputScale: layerScales[0] ?? 0, outputScale: layerScales.at(-1) ?? 0 };
}

/** The candidates of a calibration by name, the chosen one among them. */
export function knownCandidates({ candidates, selected }: CalibrationChoice): readonly NamedScales[] {
  const tried = candidates.map(({ id, layerScales }) => candidate(id, layerScales));
  return selected === null ? tried : [selected.candidate, ...tried];
}
