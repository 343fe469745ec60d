import { UsageError } from "../errors.js";
import type { NamedScales } from "./candidate.js";
import { formatLayers } from "./layer-ranges.js";

/** A run of layers that share their strengths. */
interface Run {
  readonly first: number;
  last: number;
  readonly attention: number;
  readonly ffn: number;
}

/**
 * The canonical text of strengths, in the grammar of `parseLayerScales`, which reads the very same numbers back: each has its shortest
 * decimals (a strength of -0 counts as 0). What has a short name gets it: `full`, `base`, `scale:0.75`, `upto:17`, `from:5*1.3`,
 * `window:5-27`, `without:2,7,22*1.45`; all else is written out: `0-4=1,5-29=0.5`.
 *
 * @throws UsageError SCALES_NUMBER where a strength is not finite, SCALES_LENGTH where the two vectors differ in length
 */
export function formatLayerScales(scales: Omit<NamedScales, "id">): string {
  const { layerScales: attention, feedForwardScales: ffn = attention, inputScale, outputScale } = scales;
  requireSound(attention, ffn, inputScale, outputScale);
  const outside = outsideDefaults(attention, ffn, inputScale);
  const usual = inputScale === outside.inputScale && outputScale === outside.outputScale;
  const strengths = [...new Set([...attention, ...ffn])].filter((scale) => scale !== 0);
  const [strength = attention.length > 0 ? 0 : inputScale] = strengths;
  if (usual && strengths.length <= 1) return shapeText(attention, ffn, strength);
  return writtenOut(scales);
}

/** The strengths of every layer, also in the grammar: `0-16=1,17-29=0`; those outside the layers where they do not follow from them. */
export function writtenOut(scales: Omit<NamedScales, "id">): string {
  const { layerScales: attention, feedForwardScales: ffn = attention, inputScale, outputScale } = scales;
  const outside = outsideDefaults(attention, ffn);
  const follows = (scale: number, usual: number) => scale === usual && attention.length > 0;
  return [
    ...runsOf(attention, ffn).flatMap(assignmentText),
    ...(follows(inputScale, outside.inputScale) ? [] : [`input=${inputScale + 0}`]),
    ...(follows(outputScale, outside.outputScale) ? [] : [`output=${outputScale + 0}`]),
  ].join(",");
}

/**
 * Strengths of the pairs outside the layers where nothing is said of them: the input pair goes with layer 0, the output pair with the
 * last layer; where the parts of that layer differ, with the part next to it, or with the other where that one is 0.
 *
 * @param withoutLayers for an adapter that has no layers; default 1
 */
export function outsideDefaults(attention: readonly number[], ffn: readonly number[], withoutLayers = 1) {
  if (attention.length === 0) return { inputScale: withoutLayers, outputScale: withoutLayers };
  return { inputScale: attention[0] || ffn[0] || 0, outputScale: ffn.at(-1) || attention.at(-1) || 0 };
}

/** Of strengths that are all 0 or `strength`. */
function shapeText(attention: readonly number[], ffn: readonly number[], strength: number): string {
  if (strength === 0) return "base";
  const factor = strength === 1 ? "" : `*${strength}`;
  const kept = partsText(attention, ffn, (scale) => scale !== 0);
  const dropped = partsText(attention, ffn, (scale) => scale === 0);
  if (dropped === "") return strength === 1 ? "full" : `scale:${strength}`;
  const range = /^(\d+)(?:-(\d+))?$/.exec(kept);
  if (range !== null) {
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (first === 0) return `upto:${last + 1}${factor}`;
    if (last === attention.length - 1) return `from:${first}${factor}`;
    return `window:${kept}${factor}`;
  }
  const ranges = (list: string) => list.split(",").length;
  return `${ranges(kept) < ranges(dropped) ? kept : `without:${dropped}`}${factor}`;
}

/** The list of what passes: whole layers first, then attention pairs, then feed-forward pairs. */
function partsText(attention: readonly number[], ffn: readonly number[], passes: (scale: number) => boolean): string {
  const layers = (isIn: (attentionPasses: boolean, ffnPasses: boolean) => boolean) =>
    [...attention.keys()].filter((layer) => isIn(passes(attention[layer] ?? 0), passes(ffn[layer] ?? 0)));
  const listed = (part: string, list: readonly number[]) =>
    list.length === 0
      ? []
      : formatLayers(list)
          .split(",")
          .map((range) => part + range);
  return [
    ...listed(
      "",
      layers((a, f) => a && f),
    ),
    ...listed(
      "attention:",
      layers((a, f) => a && !f),
    ),
    ...listed(
      "ffn:",
      layers((a, f) => !a && f),
    ),
  ].join(",");
}

function runsOf(attention: readonly number[], ffn: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const [layer, scale] of attention.entries()) {
    const other = ffn[layer] ?? 0;
    const open = runs.at(-1);
    if (open?.attention === scale && open.ffn === other) open.last = layer;
    else runs.push({ first: layer, last: layer, attention: scale, ffn: other });
  }
  return runs;
}

function assignmentText({ first, last, attention, ffn }: Run): string[] {
  const range = first === last ? `${first}` : `${first}-${last}`;
  if (attention === ffn) return [`${range}=${attention + 0}`];
  return [`attention:${range}=${attention + 0}`, `ffn:${range}=${ffn + 0}`];
}

function requireSound(attention: readonly number[], ffn: readonly number[], ...outside: readonly number[]): void {
  const bad = [...attention, ...ffn, ...outside].find((scale) => !Number.isFinite(scale));
  if (bad !== undefined) {
    throw new UsageError("SCALES_NUMBER", `Expected finite strengths but received ${bad}.`, {
      details: { option: "scales" },
    });
  }
  if (ffn.length === attention.length) return;
  throw new UsageError(
    "SCALES_LENGTH",
    `Expected as many \`feedForwardScales\` as \`layerScales\` (${attention.length}) but received ${ffn.length}.`,
    { details: { option: "feedForwardScales" } },
  );
}
