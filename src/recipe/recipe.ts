import type { ReadSamplesOptions } from "../data/options.js";
import type { CacheType, FlashAttention } from "../engine/context-options.js";

export const RECIPE_SCHEMA = "lora-boundary/recipe@1";

/** Losses of the three that everything is compared with, per sample: mean NLL per scored token, nats. */
export interface RecipeScores {
  readonly base: readonly number[];
  readonly full: readonly number[];
  readonly cut: readonly number[];
}

/** What scores depend on beside files and options: only scores of equal engines may be paired. */
export interface RecipeEngine {
  readonly llamaCpp: string;
  readonly backend: string;
  /** Instruction sets and options, as llama.cpp prints them: other kernels round differently. */
  readonly systemInfo: string;
  /** SHA-256 of which samples are computed together, in which order. */
  readonly packing: string;
  /** Ranks are padded to a multiple of it in memory. */
  readonly rankMultiple: number;
  /** What a pair adds is one node of the graph; absent in recipes of versions that did not know it, and then false. */
  readonly fusedLora?: boolean | undefined;
}

/**
 * How a smaller adapter was made and how it scored: enough to make it again, and to tell later whether the same cut is still
 * good. Schema `lora-boundary/recipe@1`. Plain JSON; fields are added, never renamed. Paths are relative to the recipe.
 */
export interface Recipe {
  readonly schema: typeof RECIPE_SCHEMA;
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly model: {
    readonly path: string;
    /** Empty unless the calibration hashed the whole model (`--hash full`). */
    readonly sha256: string;
    /** SHA-256 over size, header and sampled blocks. */
    readonly fingerprint: string;
    readonly layers: number;
  };
  readonly adapter: {
    /** A GGUF file, or a PEFT folder. */
    readonly path: string;
    /** Of the GGUF file; of a folder that of its conversion, which may change with the version of this package. */
    readonly sha256: string;
    /** Of what it computes, see `tensorsHashOf`. */
    readonly tensorsSha256: string;
    readonly per: "layer" | "module";
  };
  readonly samples: {
    readonly path: string;
    readonly sha256: string;
    readonly reading: Omit<ReadSamplesOptions, "signal">;
    /** Line of every sample, in the order of the scores. */
    readonly lines: readonly number[];
  };
  readonly cut: {
    readonly id: string;
    /** In the grammar of `parseLayerScales`. */
    readonly scales: string;
    /** Of the file that `trim` writes from the adapter, see `tensorsHashOf`. */
    readonly tensorsSha256: string;
  };
  readonly judging: {
    readonly objective: "nll";
    /** Share of the adapter's gain that may be lost. */
    readonly margin: number;
    readonly confidence: number;
    readonly seed: number;
    readonly tokenWeighted: boolean;
  };
  readonly session: {
    readonly threads: number;
    readonly batchTokens: number;
    readonly loss: "graph" | "host";
    readonly flashAttention: FlashAttention;
    readonly cacheTypeK: CacheType;
    readonly cacheTypeV: CacheType;
  };
  readonly engine: RecipeEngine;
  readonly scores: RecipeScores;
}
