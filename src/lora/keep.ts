import { UsageError } from "../errors.js";
import type { AdapterFile } from "./adapter-file.js";
import { formatLayers } from "./layer-ranges.js";
import type { LayerSelection } from "./trim.js";

/**
 * Reads `--keep`: layers and ranges, both ends included, as in `0-17` or `0-3,5,7-9`; `all` for every layer.
 *
 * @param adapter whose layers may be named; a range may run over layers that it does not cover
 * @returns layer scales 0 or 1, one per layer up to the adapter's highest
 * @throws UsageError KEEP_SYNTAX with the position in `details.position` (counted from 1), KEEP_RANGE
 */
export function parseKeep(text: string, adapter: Pick<AdapterFile, "path" | "layers">): LayerSelection {
  const highest = adapter.layers.at(-1) ?? -1;
  const scales = new Array<number>(highest + 1).fill(0);
  if (text.trim() === "all") {
    scales.fill(1);
  } else {
    let position = 1;
    for (const term of text.split(",")) {
      const [first, last] = parseTerm(term, text, position);
      requireCovered(first, last, term.trim(), adapter);
      scales.fill(1, first, last + 1);
      position += term.length + 1;
    }
  }
  const kept = adapter.layers.filter((layer) => scales[layer] === 1);
  return { id: `keep:${formatLayers(kept)}`, layerScales: scales };
}

function parseTerm(term: string, text: string, position: number): [first: number, last: number] {
  const match = /^\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*$/.exec(term);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first > last) {
    const received = term.trim() === "" ? "nothing" : `\`${term.trim()}\``;
    const start = term.trim() === "" ? position : position + term.length - term.trimStart().length;
    const reason = match === null ? "" : ", a range that runs backwards";
    throw new UsageError(
      "KEEP_SYNTAX",
      `Expected layers such as \`0-17\` or \`0-3,5,7-9\`, or \`all\`, for \`--keep\` but received ${received} at character ${start} of \`${text}\`${reason}.`,
      { details: { option: "keep", text, position: start } },
    );
  }
  return [first, last];
}

function requireCovered(
  first: number,
  last: number,
  term: string,
  { path, layers }: Pick<AdapterFile, "path" | "layers">,
) {
  const highest = layers.at(-1) ?? -1;
  if (last <= highest && layers.some((layer) => layer >= first && layer <= last)) return;
  const has = layers.length === 0 ? "no layers" : `LoRA in layers ${formatLayers(layers)}`;
  throw new UsageError(
    "KEEP_RANGE",
    `Expected layers of the adapter for \`--keep\` but received \`${term}\`: ${path} has ${has}.`,
    { details: { option: "keep", term, layers } },
  );
}
