import type { CalibrationResult } from "../result.js";
import { clipped, wrapped, type Style } from "./text.js";

/** From the weakest to as trained. */
const SHADES = { unicode: "\u2591\u2592\u2593\u2588", ascii: ".-+#" };

/**
 * The effective strength of every layer's LoRA under the chosen candidate, one character per layer: blank is the base
 * model alone, full is as trained, and what is boosted or negative has a sign of its own. Layers that do not fit side by
 * side go on in the next line, each line with the numbers of its layers.
 *
 * @returns no lines where nothing is chosen
 */
export function scalesStrip({ candidates, selected }: CalibrationResult, style: Style): string[] {
  const chosen = candidates.find(({ id }) => id === selected?.candidate.id);
  if (chosen === undefined) return [];
  const scales = chosen.layerScales;
  const last = String(scales.length - 1).length;
  // `12-23 |` before and `|` after.
  const room = style.width - 2 * last - 4;
  const perLine = Math.max(1, Math.min(scales.length, room > 10 ? room - (room % 10) : room));
  const lines: string[] = [];
  for (let from = 0; from < scales.length; from += perLine) {
    const part = scales.slice(from, from + perLine);
    const range = `${String(from).padStart(last)}-${String(from + part.length - 1).padEnd(last)}`;
    lines.push(`${range} |${part.map((scale) => shade(scale, style)).join("")}|`);
  }
  const kept = scales.filter((scale) => scale !== 0);
  const [low, high] = [Math.min(...kept), Math.max(...kept)];
  const strengths =
    low === high ? `all kept ones at ${rounded(low)}` : `kept ones from ${rounded(low)} to ${rounded(high)}`;
  return [
    clipped("strength of each layer", style.width, style),
    ...lines,
    ...(kept.length === 0 ? [] : wrapped(`${kept.length} of ${scales.length} layers, ${strengths}`, style.width)),
  ];
}

function shade(scale: number, { unicode }: Style): string {
  if (scale === 0) return unicode ? "\u00b7" : " ";
  if (scale < 0) return "n";
  if (scale > 1) return "^";
  const shades = unicode ? SHADES.unicode : SHADES.ascii;
  return shades[Math.ceil(scale * shades.length) - 1] ?? "";
}

function rounded(scale: number): string {
  return String(Math.round(scale * 1000) / 1000);
}
