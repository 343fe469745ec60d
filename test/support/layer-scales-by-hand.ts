/**
 * The grammar of layer strengths a second time, as one regular expression per form and slot-by-slot evaluation: slow, and unlike the
 * parser it is held against.
 */
export interface ByHand {
  readonly attention: readonly number[];
  readonly ffn: readonly number[];
  readonly inputScale: number;
  readonly outputScale: number;
}

const S = "\\s*";
const NUMBER = "[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?";
const RANGE = `[0-9]+${S}(?:-${S}[0-9]+${S})?`;
const UNIT = `(?:(?:attention|ffn)${S}:${S})?${RANGE}`;
const UNITS = `${UNIT}(?:,${S}${UNIT})*`;
const TARGET = `(?:(?:(?:attention|ffn)${S}:${S})?(?:${RANGE}|\\*${S})|(?:input|output)${S})`;
const FACTOR = `(?:\\*${S}(?<factor>${NUMBER})${S})?`;

const form = (pattern: string) => new RegExp(`^${S}${pattern}$`);
const NAME = form(`(?<name>full|all|base)${S}${FACTOR}`);
const SCALE = form(`scale${S}:${S}(?<scale>${NUMBER})${S}${FACTOR}`);
const CUT = form(`(?<kind>upto|from)${S}:${S}(?<layer>[0-9]+)${S}${FACTOR}`);
const WINDOW = form(`window${S}:${S}(?<units>${RANGE})${FACTOR}`);
const ONLY = form(`(?<units>${UNITS})${FACTOR}`);
const WITHOUT = form(`(?:without${S}:|not(?![\\w.-]))${S}(?<units>${UNITS})${FACTOR}`);
const ASSIGN = form(`(?<terms>${TARGET}=${S}${NUMBER}${S}(?:,${S}${TARGET}=${S}${NUMBER}${S})*)`);

type Slot = readonly [part: "attention" | "ffn", layer: number];

/** Null where the text is not in the grammar. */
export function layerScalesByHand(text: string, layers: number): ByHand | null {
  const every: Slot[] = (["attention", "ffn"] as const).flatMap((part) =>
    Array.from({ length: layers }, (_, layer) => [part, layer] as const),
  );
  const build = (of: (slot: Slot) => number, factor: string | undefined): ByHand | null => {
    const scale = (slot: Slot) => of(slot) * Number(factor ?? 1) + 0;
    const attention = every.filter(([part]) => part === "attention").map(scale);
    const ffn = every.filter(([part]) => part === "ffn").map(scale);
    if (![...attention, ...ffn].every(Number.isFinite)) return null;
    const [first, last] = [
      attention[0] !== 0 ? attention[0] : ffn[0],
      ffn.at(-1) !== 0 ? ffn.at(-1) : attention.at(-1),
    ];
    return { attention, ffn, inputScale: first!, outputScale: last! };
  };

  const groups = (pattern: RegExp) => pattern.exec(text)?.groups;
  let found = groups(NAME);
  if (found) return build(() => (found!["name"] === "base" ? 0 : 1), found["factor"]);
  found = groups(SCALE);
  if (found) return build(() => Number(found!["scale"]), found["factor"]);
  found = groups(CUT);
  if (found) {
    const layer = Number(found["layer"]);
    const upto = found["kind"] === "upto";
    if (layer > layers - (upto ? 0 : 1)) return null;
    return build((slot) => Number(upto === slot[1] < layer), found["factor"]);
  }
  found = groups(WINDOW) ?? groups(ONLY);
  const without = groups(WITHOUT);
  if (found || without) {
    const { units, factor } = (found ?? without)!;
    const named = units!.split(",").flatMap((unit) => slotsOf(unit, every));
    if (named.some((slot) => slot === null) || new Set(named).size < named.length) return null;
    return build((slot) => Number(named.includes(slot) === (found !== undefined)), factor);
  }
  found = groups(ASSIGN);
  return found ? assigned(found["terms"]!, every, build) : null;
}

/** Null among them for a layer that is not there, or a range that runs backwards. */
function slotsOf(unit: string, every: readonly Slot[]): (Slot | null)[] {
  const [, part, first, last = first] = /^\s*(?:(attention|ffn)\s*:)?\s*([0-9]+)\s*(?:-\s*([0-9]+))?\s*$/.exec(unit)!;
  const highest = every.length / 2 - 1;
  if (Number(last) > highest || Number(first) > Number(last)) return [null];
  return every.filter(([of, layer]) => (part ?? of) === of && layer >= Number(first) && layer <= Number(last));
}

function assigned(
  terms: string,
  every: readonly Slot[],
  build: (of: (slot: Slot) => number, factor: undefined) => ByHand | null,
): ByHand | null {
  const strengths = new Map<Slot | string, number>();
  const rests: [pattern: string, strength: number][] = [];
  let wholeLayers = false;
  let anyLayer = false;
  for (const term of terms.split(",")) {
    const [target, number] = term.split("=").map((side) => side.replaceAll(/\s/g, "")) as [string, string];
    const strength = Number(number) + 0;
    if (!Number.isFinite(strength)) return null;
    if (target === "input" || target === "output") {
      if (strengths.has(target)) return null;
      strengths.set(target, strength);
      continue;
    }
    anyLayer = true;
    wholeLayers ||= !target.includes(":");
    if (target.endsWith("*")) {
      rests.push([target, strength]);
      continue;
    }
    for (const slot of slotsOf(target, every)) {
      if (slot === null || strengths.has(slot)) return null;
      strengths.set(slot, strength);
    }
  }
  // "attention:*" and "ffn:*" are longer than "*", and are served first.
  for (const [target, strength] of rests.sort(([a], [b]) => Number(b.length > 1) - Number(a.length > 1))) {
    const free = every.filter((slot) => !strengths.has(slot) && (target === "*" || target === `${slot[0]}:*`));
    if (free.length === 0) return null;
    for (const slot of free) strengths.set(slot, strength);
  }
  if ((wholeLayers || !anyLayer) && every.some((slot) => !strengths.has(slot))) return null;
  const scales = build((slot) => strengths.get(slot) ?? 1, undefined);
  return (
    scales && {
      ...scales,
      inputScale: strengths.get("input") ?? scales.inputScale,
      outputScale: strengths.get("output") ?? scales.outputScale,
    }
  );
}
