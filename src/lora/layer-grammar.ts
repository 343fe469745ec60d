import type { NamedScales } from "./candidate.js";
import { formatLayerScales, outsideDefaults } from "./format-layer-scales.js";
import { grammarError, parseSyntax, type Syntax, type TextSource, type Unit } from "./layer-grammar-syntax.js";
import type { LayerPresets } from "./layer-presets.js";
import type { Part } from "./lora-pair.js";

export interface LayerGrammarOptions {
  /** L, the number of layers that may be named. */
  readonly layers: number;
  /** Further names; see `readLayerPresets`. */
  readonly presets?: LayerPresets | undefined;
  /** The option that the text was given for, for messages. Default `scales`. */
  readonly option?: string | undefined;
  /** What has the layers, for messages: `a.gguf has LoRA in layers 0-3`. */
  readonly owner?: string | undefined;
}

/**
 * Reads one strength per layer from a text:
 *
 * | text | strengths |
 * |---|---|
 * | `full` or `all`, `base` | 1 everywhere; 0 everywhere |
 * | `scale:0.75` | 0.75 everywhere |
 * | `upto:17`, `from:5`, `window:5-27` | 1 in the layers 0 to 16; from 5 on; from 5 to 27: 0 in all others |
 * | `0-3,5,7-9` | 1 in these layers, 0 in all others |
 * | `without:2,7,22`, `not 20-29` | 0 in these layers, 1 in all others |
 * | `0-20=1,21-29=0` | as it says; every layer must be named |
 * | `0-4=1.5,*=0.5` | `*` is every layer that no other term names |
 * | `attention:0-10=0` | only the attention pairs (`attention:`) or feed-forward pairs (`ffn:`), see `partOf`; 1 where nothing is said |
 * | `without:2,attention:7` | lists may name parts of layers too |
 * | `input=0`, `output=1` | among terms with `=`: the pairs outside the layers |
 * | a name of `presets` | what the text under that name says |
 *
 * All but terms with `=` may end in a strength for everything kept: `without:2,7,22*1.45`. Spaces may stand between words, numbers
 * and symbols. The input pair goes with layer 0 and the output pair with the last layer, unless said otherwise; where the parts of
 * that layer differ, with the part next to it, or with the other where that one is 0.
 *
 * @returns the effective strengths; `id` is the canonical text, {@link formatLayerScales}
 * @throws UsageError SCALES_EMPTY, SCALES_SYNTAX, SCALES_NAME, SCALES_NUMBER (NaN, infinite), SCALES_RANGE, SCALES_OVERLAP,
 *   SCALES_INCOMPLETE, each with `details.position`, counted from 1
 */
export function parseLayerScales(
  text: string,
  { layers, presets, option = "scales", owner }: LayerGrammarOptions,
): NamedScales {
  const source = { option, owner };
  const scales = resolve(parseSyntax(text, source), layers, source, presets);
  return { id: formatLayerScales(scales), ...scales };
}

/** Strengths without a name. */
export type LayerScales = Omit<NamedScales, "id">;

function resolve(syntax: Syntax, layers: number, source: TextSource, presets?: LayerPresets): LayerScales {
  const { shape } = syntax;
  switch (shape.kind) {
    case "name":
      return scaled(named(shape.name, shape.position, syntax, layers, source, presets), syntax, source);
    case "scale":
      return scaled(uniform(layers, shape.strength), syntax, source);
    case "upto":
    case "from": {
      const { kind, layer, position } = shape;
      if (layer > (kind === "upto" ? layers : layers - 1)) {
        throw rangeError(`${kind}:${layer}`, layers - 1, syntax, position, source);
      }
      const isKept = (it: number) => (kind === "upto" ? it < layer : it >= layer);
      const scales = Array.from({ length: layers }, (_, it) => (isKept(it) ? 1 : 0));
      return scaled(fromParts({ attention: scales, ffn: scales }), syntax, source);
    }
    case "only":
    case "without": {
      const slots = new Slots(layers, syntax, source);
      for (const unit of shape.units) slots.set(unit, shape.kind === "only" ? 1 : 0);
      return scaled(fromParts(slots.filled(shape.kind === "only" ? 0 : 1)), syntax, source);
    }
    case "assign":
      return assigned(shape.terms, new Slots(layers, syntax, source), syntax, source);
  }
}

function named(
  name: string,
  position: number,
  { text }: Syntax,
  layers: number,
  source: TextSource,
  presets: LayerPresets | undefined,
): LayerScales {
  if (name === "full" || name === "all") return uniform(layers, 1);
  if (name === "base") return uniform(layers, 0);
  const preset = presets?.texts.get(name);
  if (preset !== undefined) {
    const inner = { ...source, preset: `preset \`${name}\` of ${presets?.path ?? ""}` };
    // Without the presets themselves: a preset that names another could name itself.
    return resolve(parseSyntax(preset, inner), layers, inner);
  }
  const known =
    presets === undefined ? "" : ` or a preset of ${presets.path} (${[...presets.texts.keys()].join(", ")})`;
  throw grammarError(
    "NAME",
    `Expected \`full\`, \`base\`, \`upto:\`, \`from:\`, \`window:\`, \`without:\`, \`not\`, \`scale:\`, layers${known} for \`--${source.option}\` but received \`${name}\``,
    text,
    position,
    source,
  );
}

type AssignTerms = Extract<Syntax["shape"], { kind: "assign" }>["terms"];

function assigned(terms: AssignTerms, slots: Slots, syntax: Syntax, source: TextSource): LayerScales {
  const outside: { input?: number; output?: number } = {};
  for (const { target, strength } of terms) {
    if ("first" in target) {
      slots.set(target, strength);
    } else if ("outside" in target) {
      if (outside[target.outside] !== undefined)
        throw overlap(`\`${target.outside}\``, syntax, target.position, source);
      outside[target.outside] = strength;
    }
  }
  // Last, because `*` is what no other term names; the ones of a part before the one of both.
  const rests = terms.filter(({ target }) => "rest" in target) as {
    target: { rest: Part | null; position: number };
    strength: number;
  }[];
  for (const { target, strength } of rests.sort(
    (a, b) => Number(a.target.rest === null) - Number(b.target.rest === null),
  )) {
    if (slots.setRest(target.rest, strength) === 0)
      throw overlap("every layer that `*` stands for", syntax, target.position, source);
  }
  const partsOnly = terms.every(
    ({ target }) => "outside" in target || ("first" in target ? target.part : target.rest) !== null,
  );
  const missing = slots.firstUnnamed();
  if (missing !== null && !(partsOnly && terms.some(({ target }) => !("outside" in target)))) {
    throw grammarError(
      "INCOMPLETE",
      `Expected a strength for every layer but layer ${missing} has none: add for example \`*=0\` or \`*=1\``,
      syntax.text,
      syntax.text.length,
      source,
    );
  }
  const scales = fromParts(slots.filled(1));
  return {
    ...scales,
    inputScale: outside.input ?? scales.inputScale,
    outputScale: outside.output ?? scales.outputScale,
  };
}

/** Which strengths were named, per layer and part. */
class Slots {
  readonly #parts: Readonly<Record<Part, (number | undefined)[]>>;
  readonly #syntax: Syntax;
  readonly #source: TextSource;

  constructor(layers: number, syntax: Syntax, source: TextSource) {
    const free = () => new Array<number | undefined>(layers).fill(undefined);
    this.#parts = { attention: free(), ffn: free() };
    this.#syntax = syntax;
    this.#source = source;
  }

  set(unit: Unit, strength: number): void {
    const { part, first, last, position } = unit;
    const highest = this.#parts.attention.length - 1;
    if (last > highest) {
      const range = first === last ? `${first}` : `${first}-${last}`;
      throw rangeError(range, highest, this.#syntax, position, this.#source);
    }
    for (const scales of this.#of(part)) {
      for (let layer = first; layer <= last; layer++) {
        if (scales[layer] !== undefined) throw overlap(`layer ${layer}`, this.#syntax, position, this.#source);
        scales[layer] = strength;
      }
    }
  }

  /** @returns how many were still free */
  setRest(part: Part | null, strength: number): number {
    let free = 0;
    for (const scales of this.#of(part)) {
      for (let layer = 0; layer < scales.length; layer++) {
        if (scales[layer] !== undefined) continue;
        scales[layer] = strength;
        free++;
      }
    }
    return free;
  }

  firstUnnamed(): number | null {
    const { attention, ffn } = this.#parts;
    const missing = attention.findIndex((_, layer) => attention[layer] === undefined || ffn[layer] === undefined);
    return missing < 0 ? null : missing;
  }

  filled(otherwise: number): Record<Part, number[]> {
    const { attention, ffn } = this.#parts;
    const complete = (scales: readonly (number | undefined)[]) => Array.from(scales, (scale) => scale ?? otherwise);
    return { attention: complete(attention), ffn: complete(ffn) };
  }

  #of(part: Part | null): readonly (number | undefined)[][] {
    return part === null ? [this.#parts.attention, this.#parts.ffn] : [this.#parts[part]];
  }
}

function uniform(layers: number, strength: number): LayerScales {
  return { layerScales: new Array<number>(layers).fill(strength), inputScale: strength, outputScale: strength };
}

function fromParts({ attention, ffn }: Readonly<Record<Part, readonly number[]>>): LayerScales {
  const differ = attention.some((scale, layer) => scale !== ffn[layer]);
  return {
    layerScales: attention,
    ...(differ && { feedForwardScales: ffn }),
    ...outsideDefaults(attention, ffn),
  };
}

function scaled(scales: LayerScales, syntax: Syntax, source: TextSource): LayerScales {
  const { text, factor } = syntax;
  if (factor === 1) return scales;
  const times = (strength: number) => {
    const product = strength * factor + 0;
    if (Number.isFinite(product)) return product;
    throw grammarError(
      "NUMBER",
      `Expected finite strengths but received ${strength} times ${factor}`,
      text,
      text.lastIndexOf("*") + 1,
      source,
    );
  };
  const { layerScales, feedForwardScales, inputScale, outputScale } = scales;
  return {
    layerScales: layerScales.map(times),
    ...(feedForwardScales && { feedForwardScales: feedForwardScales.map(times) }),
    inputScale: times(inputScale),
    outputScale: times(outputScale),
  };
}

function rangeError(received: string, highest: number, { text }: Syntax, position: number, source: TextSource) {
  const has = source.owner ?? (highest < 0 ? "there are no layers" : `there are the layers 0 to ${highest}`);
  return grammarError(
    "RANGE",
    `Expected layers that exist for \`--${source.option}\` but received \`${received}\` (${has})`,
    text,
    position,
    source,
  );
}

function overlap(what: string, { text }: Syntax, position: number, source: TextSource) {
  return grammarError(
    "OVERLAP",
    `Expected each layer once for \`--${source.option}\` but ${what} is named before`,
    text,
    position,
    source,
  );
}
