import { UsageError } from "../errors.js";
import type { NativeShape } from "../native/types.js";
import type { Placement } from "./devices.js";

/** Where the loss of scored tokens is computed. */
export type LossPlace = "auto" | "graph" | "host";
export type FlashAttention = "auto" | "on" | "off";
/** Types that a KV cache can have, as llama.cpp names them. */
export type CacheType = (typeof CACHE_TYPES)[number];

export const LOSS_PLACES: readonly LossPlace[] = ["auto", "graph", "host"];
export const FLASH_ATTENTION: readonly FlashAttention[] = ["auto", "on", "off"];
export const CACHE_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"] as const;

/** What llama.cpp may do in a context; every choice changes the last digits of scores. */
export interface ContextOptions {
  /**
   * `graph`: loss and argmax are computed behind the logits on the device that holds them, and only these leave it.
   * `host`: logits are copied to the host and summed there in double. Default `auto`: `graph` where the output head is on
   * a GPU; on the CPU nothing is copied far, and llama.cpp's buffers for the other way take four times the memory.
   */
  readonly loss?: LossPlace | undefined;
  /** Default `auto`: as llama.cpp finds best. */
  readonly flashAttention?: FlashAttention | undefined;
  /** Type of the KV cache's keys, default `f16`. */
  readonly cacheTypeK?: CacheType | undefined;
  /** Type of its values, default `f16`; quantised ones need flash attention. */
  readonly cacheTypeV?: CacheType | undefined;
}

/** The part of a context's shape that does not follow from the samples. */
export type ContextChoice = Pick<NativeShape, "lossInGraph" | "flashAttention" | "keyType" | "valueType">;

/**
 * @param layers L of the model
 * @throws UsageError LOSS_RANGE, FLASH_ATTENTION_RANGE, CACHE_TYPE_RANGE
 */
export function contextChoice(options: ContextOptions, placement: Placement, layers: number): ContextChoice {
  const { loss = "auto", flashAttention = "auto", cacheTypeK = "f16", cacheTypeV = "f16" } = options;
  requireOneOf("LOSS", "loss", LOSS_PLACES, loss);
  requireOneOf("FLASH_ATTENTION", "flashAttention", FLASH_ATTENTION, flashAttention);
  requireOneOf("CACHE_TYPE", "cacheTypeK", CACHE_TYPES, cacheTypeK);
  requireOneOf("CACHE_TYPE", "cacheTypeV", CACHE_TYPES, cacheTypeV);
  // llama.cpp counts the output head as one layer more.
  const headOnDevice = placement.backend !== "CPU" && (placement.gpuLayers === -1 || placement.gpuLayers > layers);
  return {
    lossInGraph: loss === "graph" || (loss === "auto" && headOnDevice),
    flashAttention,
    keyType: cacheTypeK,
    valueType: cacheTypeV,
  };
}

function requireOneOf(code: string, option: string, choices: readonly string[], received: string): void {
  if (choices.includes(received)) return;
  throw new UsageError(
    `${code}_RANGE`,
    `Expected one of ${choices.join(", ")} for \`${option}\` but received ${received}.`,
    { details: { option, received } },
  );
}
