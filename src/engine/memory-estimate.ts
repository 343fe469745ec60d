import { MemoryError } from "../errors.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import { sizeAt } from "../lora/lora-pair.js";
import { hostMemory, sizeText } from "./host-memory.js";

/** Bytes beyond the loaded model and adapter, known before anything is allocated. */
export interface MemoryEstimate {
  /** States kept at layer borders. */
  readonly states: number;
  /** Logits of one batch, on the host. */
  readonly logits: number;
  /** llama.cpp's compute buffers. */
  readonly compute: number;
  /** llama.cpp's KV cache or recurrent state. */
  readonly cache: number;
  /** With `fusedLora`: B of every pair but experts', held column by column as F32; once for all sessions of an adapter. */
  readonly factors: number;
}

export interface BatchFacts {
  readonly maxTokens: number;
  readonly maxRows: number;
  readonly lossInGraph: boolean;
}

/**
 * @param simulated what llama.cpp says of its own context, see `simulateMemory`
 * @param states most states kept at the same time
 */
export function estimateMemory(
  { maxTokens, maxRows, lossInGraph }: BatchFacts,
  model: { readonly embedding: number; readonly vocabulary: number },
  { file: { pairs }, fusedLora }: { readonly file: Pick<AdapterFile, "pairs">; readonly fusedLora: boolean },
  simulated: { readonly computeBytes: number; readonly cacheBytes: number },
  states: number,
): MemoryEstimate {
  const float = 4;
  // A pair's product is as large as what it is added to, and lives beside it.
  const widest = Math.max(0, ...pairs.filter(({ layer }) => layer !== null).map(({ baseShape }) => baseShape[1]));
  const turned = fusedLora ? pairs.filter(({ b }) => sizeAt(b, 2) === 1) : [];
  return {
    states: states * maxTokens * model.embedding * float,
    // For a backend sampler llama.cpp also reserves room for its logits, probabilities and tokens.
    logits: maxRows * model.vocabulary * float * (lossInGraph ? 4 : 1),
    compute: simulated.computeBytes + widest * maxTokens * float,
    cache: simulated.cacheBytes,
    factors: turned.reduce((sum, { rank, b }) => sum + rank * sizeAt(b, 1) * float, 0),
  };
}

export function totalBytes({ states, logits, compute, cache, factors }: MemoryEstimate): number {
  return states + logits + compute + cache + factors;
}

/** @throws MemoryError NOT_ENOUGH_MEMORY where the machine has less free than the estimate */
export function requireMemory(estimate: MemoryEstimate, batchTokens: number): void {
  const needed = totalBytes(estimate);
  const free = hostMemory().available;
  if (needed <= free) return;
  throw new MemoryError(
    "NOT_ENOUGH_MEMORY",
    `Scoring needs about ${sizeText(needed)} beyond the model but only ${sizeText(free)} are free. Compute fewer tokens at once (--batch-tokens below ${batchTokens}), leave out the longest samples (--max-tokens), use a smaller quantisation, or close other programs.`,
    { details: { neededBytes: needed, freeBytes: free, estimate } },
  );
}
