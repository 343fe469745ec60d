import type { LayerScales } from "./layer-scales.js";

/**
 * The name of strengths that are 0 or one common strength, in the grammar of DESIGN ("Words"): `upto:17`, `from:5`,
 * `window:5-27`, `without:2,7,22*1.45`, `scale:1.25`, `without:attention:2,ffn:7`. Each name stands for one vector.
 */
export function candidateName({ layerScales, feedForwardScales = layerScales }: LayerScales): string {
  const strength = layerScales.find((scale) => scale !== 0) ?? feedForwardScales.find((scale) => scale !== 0) ?? 0;
  const layers = layerScales.length;
  const dropped = layerScales.flatMap((attention, layer) => {
    const ffn = feedForwardScales[layer] ?? 0;
    if (attention !== 0 && ffn !== 0) return [];
    return [attention === ffn ? `${layer}` : attention === 0 ? `attention:${layer}` : `ffn:${layer}`];
  });
  const times = strength === 1 || strength === 0 ? "" : `*${strength}`;
  if (dropped.length === layers && dropped.every((name) => !name.includes(":"))) return "upto:0";
  if (dropped.length === 0) return strength === 1 ? `upto:${layers}` : `scale:${strength}`;
  const isKept = (layer: number) => layerScales[layer] !== 0 && feedForwardScales[layer] !== 0;
  const whole = dropped.every((name) => !name.includes(":"));
  const kept = Array.from({ length: layers }, (_, layer) => layer).filter(isKept);
  const [first = 0, last = 0] = [kept[0], kept.at(-1)];
  if (whole && kept.length === last - first + 1 && kept.length > 0) {
    if (first === 0) return `upto:${last + 1}${times}`;
    return (last === layers - 1 ? `from:${first}` : `window:${first}-${last}`) + times;
  }
  return `without:${dropped.join(",")}${times}`;
}
