import { UsageError } from "../errors.js";
import type { NamedScales } from "./candidate.js";

type LayerScale = (layer: number) => number;
type Parts = readonly (string | undefined)[];

/** A strength as people write it: `1.25`, `-0.5`. */
const NUMBER = String.raw`-?\d{1,6}(?:\.\d{1,9})?`;
/** What a name looks like, and the strength of each layer; null where it names a layer that does not exist. */
const FORMS: readonly (readonly [RegExp, (parts: Parts, layers: number) => LayerScale | null])[] = [
  [/^base$/, () => () => 0],
  [/^full$/, () => () => 1],
  [/^upto:(\d{1,6})$/, ([b], layers) => (Number(b) > layers ? null : (layer) => (layer < Number(b) ? 1 : 0))],
  [/^from:(\d{1,6})$/, ([b], layers) => (Number(b) > layers ? null : (layer) => (layer >= Number(b) ? 1 : 0))],
  [
    new RegExp(`^scale:(${NUMBER})$`),
    ([scale]) =>
      () =>
        Number(scale),
  ],
  [
    new RegExp(String.raw`^without:(\d{1,6}(?:,\d{1,6})*)(?:\*(${NUMBER}))?$`),
    ([list = "", boost = "1"], layers) => {
      const out = new Set(list.split(",").map(Number));
      return Math.max(...out) >= layers ? null : (layer) => (out.has(layer) ? 0 : Number(boost));
    },
  ],
];

/**
 * Reads a candidate's name: `base`, `full`, `upto:17`, `from:5`, `without:3,7*1.2` or `scale:1.25`. What the adapter has below
 * layer 0 goes with the first layer, what it has above the last layer with that one.
 *
 * @param layers L, the number of layers of the model
 * @throws UsageError CANDIDATE_SYNTAX
 */
export function parseCandidate(text: string, layers: number): NamedScales {
  const id = text.trim();
  for (const [form, read] of FORMS) {
    const match = form.exec(id);
    const scaleOf = match === null ? null : read(match.slice(1), layers);
    if (scaleOf === null) continue;
    const layerScales = Array.from({ length: layers }, (_, layer) => scaleOf(layer));
    return { id, layerScales, inputScale: layerScales[0] ?? 0, outputScale: layerScales.at(-1) ?? 0 };
  }
  throw new UsageError(
    "CANDIDATE_SYNTAX",
    `Expected a candidate such as base, full, upto:17, from:5, without:3,7*1.2 or scale:1.25, of a model with ${layers} layers, but received \`${id}\`.`,
    { details: { candidate: id, layers } },
  );
}

/** Several, separated by commas; a comma before a digit belongs to the list of `without:`. */
export function parseCandidates(text: string, layers: number): readonly NamedScales[] {
  return text.split(/,(?!\s*\d)/).map((name) => parseCandidate(name, layers));
}
