import type { NamedScales } from "./candidate.js";
import { formatLayerScales } from "./format-layer-scales.js";
import { parseLayerScales, type LayerGrammarOptions } from "./layer-grammar.js";

export interface CandidateListOptions extends LayerGrammarOptions {
  /** Candidates that have names of their own, such as those of a result; looked up first. */
  readonly known?: readonly NamedScales[] | undefined;
}

/** What a text of the grammar begins with where it is no list of layers. */
const HEADS = String.raw`(?:base|full|all)\b|(?:upto|from|window|without|scale)\s*:|not\b`;

/**
 * Several candidates in one text, each in the grammar of `parseLayerScales`. A comma parts two of them where the next one begins
 * with a word (`base,upto:17,without:2,7,scale:1.25`), a semicolon always (`0-3,5;6-9;attention:0-10=0`).
 *
 * @returns in their order; base model and full adapter go by their boundaries, `upto:0` and `upto:L`, all others by their
 *   canonical text, or by the name that they were known by
 * @throws UsageError as `parseLayerScales`, of which SCALES_EMPTY also for nothing between two marks
 */
export function parseCandidateList(
  text: string,
  { known = [], option = "candidates", ...grammar }: CandidateListOptions,
): readonly NamedScales[] {
  const names = known.map(({ id }) => id.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  const nextName = names.map((name) => String.raw`${name}\s*(?:,|$)`);
  const between = new RegExp(String.raw`,(?=\s*(?:${[HEADS, ...nextName].join("|")}))`);
  const named = (name: string) => known.find(({ id }) => id === name.trim());
  return text
    .split(";")
    .flatMap((part) => (named(part) === undefined ? part.split(between) : [part]))
    .map((one) => named(one) ?? withBoundaryName(parseLayerScales(one, { ...grammar, option })));
}

/** The base model and the full adapter, as `parseCandidateList` names them. */
export function referenceCandidates(layers: number): readonly NamedScales[] {
  return ["base", "full"].map((name) => withBoundaryName(parseLayerScales(name, { layers })));
}

function withBoundaryName(scales: NamedScales): NamedScales {
  const name = formatLayerScales(scales);
  if (name === "base") return { ...scales, id: "upto:0" };
  return name === "full" ? { ...scales, id: `upto:${scales.layerScales.length}` } : scales;
}
