import { throwIfCancelled } from "../gguf/exact-io.js";
import { openForReading } from "../gguf/read-gguf.js";
import type { AdapterFile } from "./adapter-file.js";
import { sizeAt, type LoraPair } from "./lora-pair.js";
import { readFloats } from "./tensor-floats.js";

/** How much one layer's LoRA can write, by norm alone. */
export interface LayerNorm {
  readonly layer: number;
  /** Frobenius norm of all of the layer's changes to weights together: sqrt of the sum over its pairs of ||alpha / r B A||^2. */
  readonly norm: number;
  /** Of the pairs in attention (and what else mixes tokens). */
  readonly attention: number;
  /** Of the `ffn_*` pairs. */
  readonly feedForward: number;
  /** Names of pairs of types that are not read, so the norm lacks them. */
  readonly skipped: readonly string[];
}

/**
 * Norms of every layer's changes, exact by the small factors: ||B A||^2 = trace((A A^T)(B^T B)), two r x r matrices in place
 * of the full one. Needs no data and no base model. A norm says what a layer may do, not whether it helps.
 *
 * @returns ascending by layer, covered layers only
 * @throws InputError where the file cannot be read; CancelledError
 */
export async function layerNorms(
  adapter: AdapterFile,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly LayerNorm[]> {
  const handle = await openForReading(adapter.path);
  try {
    const norms: LayerNorm[] = [];
    for (const layer of adapter.layers) {
      const sums = { attention: 0, feedForward: 0 };
      const skipped: string[] = [];
      for (const pair of adapter.pairs.filter((it) => it.layer === layer)) {
        throwIfCancelled(signal);
        const a = await readFloats(handle, pair.a);
        const b = await readFloats(handle, pair.b);
        if (a === null || b === null) skipped.push(pair.name);
        else {
          const group = pair.module.startsWith("ffn_") ? "feedForward" : "attention";
          sums[group] += (adapter.alpha / pair.rank) ** 2 * squaredProductNorm(pair, a, b);
        }
      }
      const { attention, feedForward } = sums;
      const parts = { attention: Math.sqrt(attention), feedForward: Math.sqrt(feedForward) };
      norms.push({ layer, norm: Math.sqrt(attention + feedForward), ...parts, skipped });
    }
    return norms;
  } finally {
    await handle.close();
  }
}

/** ||B A||^2 of one pair inside a layer, summed over its experts. */
function squaredProductNorm({ rank, a, b }: LoraPair, aValues: Float32Array, bValues: Float32Array): number {
  const [inputs, outputs] = [sizeAt(a, 0), sizeAt(b, 1)];
  let sum = 0;
  for (let expert = 0; expert < sizeAt(a, 2); expert++) {
    const rows = aValues.subarray(expert * inputs * rank, (expert + 1) * inputs * rank);
    const columns = bValues.subarray(expert * outputs * rank, (expert + 1) * outputs * rank);
    for (let i = 0; i < rank; i++) {
      for (let j = i; j < rank; j++) {
        let inner = 0;
        for (let k = 0; k < inputs; k++) inner += (rows[i * inputs + k] ?? 0) * (rows[j * inputs + k] ?? 0);
        let outer = 0;
        for (let o = 0; o < outputs; o++) outer += (columns[o * rank + i] ?? 0) * (columns[o * rank + j] ?? 0);
        sum += (i === j ? 1 : 2) * inner * outer;
      }
    }
  }
  // Rounding can leave a product of zeros below zero.
  return Math.max(0, sum);
}
