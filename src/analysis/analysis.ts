import type { LayerNorm } from "../lora/layer-norms.js";
import type { Interval } from "../result.js";

/** What leaving a layer out, and keeping it alone, does; nats per token, simultaneous bounds. */
export interface LayerEffect {
  readonly layer: number;
  /** NLL without this layer's LoRA minus NLL of the full adapter: above 0 the layer earns something. */
  readonly leftOut: Interval;
  /** NLL of the base model minus NLL with this layer's LoRA alone: above 0 the layer helps by itself. */
  readonly alone: Interval;
}

/** As {@link LayerEffect}, of the attention pairs or the feed-forward pairs of a layer alone. */
export interface ModuleEffect extends LayerEffect {
  readonly part: "attention" | "ffn";
}

export interface LayerEffects {
  readonly samples: number;
  readonly groups: number;
  readonly confidence: number;
  /** Half-width of the bounds in standard errors. */
  readonly criticalValue: number;
  /** NLL of the base model minus NLL of the full adapter. */
  readonly gain: Interval;
  readonly layers: readonly LayerEffect[];
  /** Both halves of the layers that have both, within the same bounds; null unless the adapter is loaded `per: "module"`. */
  readonly modules: readonly ModuleEffect[] | null;
  /** Passes over the samples: layer-token evaluations / (L x tokens). */
  readonly passes: number;
}

/** One number of a layer's reading with its standard error over samples. */
export interface Reading {
  readonly mean: number;
  readonly se: number;
}

/** What a layer's output says, read through the model's own output norm and head. */
export interface LensLayer {
  readonly layer: number;
  /** Of the true token, nats. */
  readonly nll: Reading;
  readonly probability: Reading;
  /** Geometric mean of the true token's rank, 1 for the most likely; `se` is of its natural logarithm. */
  readonly rank: Reading;
}

export interface Lens {
  readonly base: readonly LensLayer[];
  readonly full: readonly LensLayer[];
  /**
   * A hint, no proof: the lowest layer from which on the full adapter's NLL has made 90 % of its whole fall from the first
   * layer to the last; null where it does not fall.
   */
  readonly knee: number | null;
  /** Samples that were read: with a large output head not all of them, so that the lens stays cheap beside a search. */
  readonly samples: number;
}

/** Schema `lora-boundary/analysis@1`. Plain JSON; fields are added, never renamed. */
export interface Analysis {
  readonly schema: "lora-boundary/analysis@1";
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly adapter: {
    readonly path: string;
    /** As in a calibration of it. */
    readonly fingerprint: string;
    readonly layers: readonly number[];
    readonly rank: number;
    readonly alpha: number;
  };
  /** Null without data, as all that follows. */
  readonly model: { readonly path: string; readonly layers: number; readonly quantization: string } | null;
  readonly data: { readonly path: string | null; readonly sha256: string; readonly seed: number } | null;
  /** A guess: what a layer may do, not whether it helps. */
  readonly norms: readonly LayerNorm[];
  readonly effects: LayerEffects | null;
  /** Null also where the architecture has no border between its last layer and the output norm; then a notice says so. */
  readonly lens: Lens | null;
  readonly notices: readonly string[];
}
