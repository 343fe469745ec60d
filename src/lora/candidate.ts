/** The shapes of candidates that a search can try; see DESIGN "Words". */
export type Family = "boundary" | "prefix" | "window" | "knockout" | "subset" | "scale" | "boundary+boost";

export const FAMILIES: readonly Family[] = [
  "boundary",
  "prefix",
  "window",
  "knockout",
  "subset",
  "scale",
  "boundary+boost",
];

/**
 * One vector of strengths: what a run computes with, what a verdict is about, what a file is written from.
 * The pair `token_embd` lies below layer 0 and the pair `output` above the last layer, so each has a scale of its own.
 */
export interface Candidate {
  /** Unique name: `upto:17`, `scale:1.25`. */
  readonly id: string;
  readonly family: Family;
  /** Strength of each layer's LoRA, length L, all finite; 1 is the trained strength, 0 the base model. */
  readonly layerScales: readonly number[];
  /**
   * Strength of each layer's feed-forward pairs (see `partOf`), length L, where it differs; then `layerScales` are those of the attention
   * pairs. Absent: the same as `layerScales`.
   */
  readonly feedForwardScales?: readonly number[];
  /** Strength of the adapter's `token_embd` pair, if it has one. */
  readonly inputScale: number;
  /** Strength of the adapter's `output` pair, if it has one. */
  readonly outputScale: number;
}

/** A candidate without its place in a search: all that computing and writing need. */
export type NamedScales = Omit<Candidate, "family">;

/** How many layers of a candidate run with LoRA, counting only layers that the adapter covers. */
export function adaptedLayers(candidate: NamedScales, coveredLayers: readonly number[]): number {
  const { layerScales, feedForwardScales = layerScales } = candidate;
  return coveredLayers.filter((layer) => layerScales[layer] !== 0 || feedForwardScales[layer] !== 0).length;
}

/** As `adaptedLayers`, but a layer of which only the attention or only the feed-forward pairs are kept counts half. */
export function adaptedSize(candidate: Candidate, coveredLayers: readonly number[]): number {
  const { layerScales, feedForwardScales = layerScales } = candidate;
  const half = (scale: number | undefined) => (scale === 0 ? 0 : 0.5);
  return coveredLayers.reduce((sum, layer) => sum + half(layerScales[layer]) + half(feedForwardScales[layer]), 0);
}
