import type { NativeLensResult } from "../native/types.js";
import type { Batch } from "./pack-batches.js";

/** What the output norm and head read off each layer's output; every column has one value per sample, in their order. */
export interface LensScores {
  /** Ascending; the last one is the model's own output. */
  readonly layers: readonly number[];
  /** [layers], mean NLL per scored token, nats. */
  readonly nll: readonly Float64Array[];
  /** [layers], mean probability of the true token. */
  readonly probability: readonly Float64Array[];
  /** [layers], mean natural logarithm of the true token's rank, 1 for the most likely. */
  readonly logRank: readonly Float64Array[];
}

/** Collects batch after batch. */
export class LensCollector {
  #layers: readonly number[] | null = null;
  readonly #columns = { nll: [] as Float64Array[], probability: [] as Float64Array[], logRank: [] as Float64Array[] };

  constructor(private readonly scored: Int32Array) {}

  /** False where the architecture has no top border, or a batch is unlike the others: there is no lens. */
  add(batch: Batch, result: NativeLensResult): boolean {
    const layers = Array.from(result.layers);
    this.#layers ??= layers;
    if (layers.length === 0 || layers.join() !== this.#layers.join()) return false;
    for (const kind of ["nll", "probability", "logRank"] as const) {
      const columns = this.#columns[kind];
      for (const [index] of layers.entries()) {
        const column = (columns[index] ??= new Float64Array(this.scored.length).fill(NaN));
        for (const [position, sample] of batch.entries()) {
          column[sample] = (result[kind][index * batch.length + position] ?? NaN) / (this.scored[sample] ?? NaN);
        }
      }
    }
    return true;
  }

  get scores(): LensScores {
    return { layers: this.#layers ?? [], ...this.#columns };
  }
}
