import { UsageError } from "../errors.js";
import type { AdapterFile } from "./adapter-file.js";
import type { NamedScales } from "./candidate.js";
import { parseLayerScales } from "./layer-grammar.js";
import { parseSyntax } from "./layer-grammar-syntax.js";
import type { LayerPresets } from "./layer-presets.js";
import { formatLayers } from "./layer-ranges.js";

/**
 * Reads `--keep`: the grammar of {@link parseLayerScales}, where the last layer is the adapter's highest.
 *
 * @param adapter whose layers may be named; a range may run over layers that it does not cover
 * @returns one strength per layer up to the adapter's highest
 * @throws UsageError SCALES_*, see {@link parseLayerScales}; KEEP_RANGE for a layer without LoRA
 */
export function parseKeep(
  text: string,
  adapter: Pick<AdapterFile, "path" | "layers">,
  presets?: LayerPresets,
): NamedScales {
  const { path, layers } = adapter;
  const has = layers.length === 0 ? "no layers" : `LoRA in layers ${formatLayers(layers)}`;
  const options = { option: "keep", owner: `${path} has ${has}` };
  const scales = parseLayerScales(text, { ...options, layers: (layers.at(-1) ?? -1) + 1, presets });
  const { shape } = parseSyntax(text, options);
  for (const { first, last, position } of shape.kind === "only" || shape.kind === "without" ? shape.units : []) {
    if (layers.some((layer) => layer >= first && layer <= last)) continue;
    const term = first === last ? `${first}` : `${first}-${last}`;
    throw new UsageError(
      "KEEP_RANGE",
      `Expected layers of the adapter for \`--keep\` but received \`${term}\`: ${path} has ${has}.`,
      { details: { option: "keep", text, term, position, layers } },
    );
  }
  return scales;
}
