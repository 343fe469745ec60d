import type { TensorDescriptor } from "../gguf/gguf-file.js";

/** Of an exhaustive boundary search: what the lens may cost. */
const MOST_COST = 0.5;

/** What the cost depends on. */
export interface LensWork {
  readonly layers: number;
  readonly tensors: ReadonlyMap<string, TensorDescriptor>;
  /** Of all samples. */
  readonly tokens: number;
  readonly scoredTokens: number;
}

/**
 * The share of the samples that the lens may read, so that it costs at most half of an exhaustive boundary search over all
 * of them. Counted in weights that are multiplied per token: the lens is two passes and an output head per layer for each
 * of base model and adapter; the search half the layers of a pass per boundary and one head.
 *
 * @returns in (0, 1]; below 1 where the vocabulary is large beside the layers
 */
export function lensShare({ layers, tensors, tokens, scoredTokens }: LensWork): number {
  const all = [...tensors.values()];
  const ofLayers = all.filter(({ name }) => name.startsWith("blk.")).reduce((sum, { elements }) => sum + elements, 0);
  const head = (tensors.get("output.weight") ?? tensors.get("token_embd.weight"))?.elements ?? 0;
  if (ofLayers === 0 || tokens === 0) return 1;
  // Of a pass through the layers, where one token in so many is scored.
  const oneHead = (head / ofLayers) * (scoredTokens / tokens);
  const search = layers / 2 + 1 + (layers + 1) * oneHead;
  const lens = 2 + 2 * layers * oneHead;
  return Math.min(1, (MOST_COST * search) / lens);
}
