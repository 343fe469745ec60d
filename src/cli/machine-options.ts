import { Option, type Command } from "commander";
import {
  CACHE_TYPES,
  FLASH_ATTENTION,
  LOSS_PLACES,
  type CacheType,
  type FlashAttention,
  type LossPlace,
} from "../engine/context-options.js";
import { GPU_CHOICES, SPLIT_MODES, type DeviceOptions, type Gpu, type SplitMode } from "../engine/devices.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { decimals, integer, list } from "./numbers.js";

/** Where and how a model is computed: the same flags for every command that loads one. */
export interface MachineFlags {
  readonly gpu: Gpu;
  readonly gpuLayers?: number;
  readonly device?: readonly string[];
  readonly rpc?: readonly string[];
  readonly splitMode?: SplitMode;
  readonly tensorSplit?: readonly number[];
  readonly threads?: number;
  readonly batchTokens: number;
  readonly flashAttn: FlashAttention;
  readonly cacheTypeK: CacheType;
  readonly cacheTypeV: CacheType;
  readonly loss: LossPlace;
}

/** Adds the flags, under a heading of their own. */
export function addMachineOptions(command: Command): Command {
  return command
    .optionsGroup("Machine:")
    .addOption(
      new Option("--gpu <backend>", "where to compute; auto takes the first that works, a name never falls back")
        .choices(GPU_CHOICES)
        .default("none"),
    )
    .option("--gpu-layers <n>", "layers to compute on GPUs and servers, from the top (default: all)", integer)
    .option("--device <names...>", "devices by the names that doctor lists (default: all of backend and servers)")
    .option("--rpc <host:port,...>", "RPC servers of llama.cpp to spread the model over; see lora-boundary-build", list)
    .option("--tensor-split <shares>", "share of each device, such as 3,1 (default: by free memory)", decimals)
    .addOption(new Option("--split-mode <mode>", "as llama.cpp has it (default: layer)").choices(SPLIT_MODES))
    .option("--threads <n>", "processor threads", integer)
    .option("--batch-tokens <n>", "tokens computed at once", integer, 512)
    .addOption(new Option("--flash-attn <mode>", "flash attention").choices(FLASH_ATTENTION).default("auto"))
    .addOption(new Option("--cache-type-k <type>", "of the KV cache's keys").choices(CACHE_TYPES).default("f16"))
    .addOption(
      new Option("--cache-type-v <type>", "of its values; quantised ones need flash attention")
        .choices(CACHE_TYPES)
        .default("f16"),
    )
    .addOption(
      new Option("--loss <place>", "graph: on the device that holds the logits; host: copied and summed in double")
        .choices(LOSS_PLACES)
        .default("auto"),
    );
}

export function deviceOptions({ gpu, gpuLayers, device, rpc, splitMode, tensorSplit }: MachineFlags): DeviceOptions {
  return { gpu, gpuLayers, devices: device, rpc, splitMode, tensorSplit };
}

export function sessionOptions(flags: MachineFlags): ScoreSessionOptions {
  const { threads, batchTokens, flashAttn, cacheTypeK, cacheTypeV, loss } = flags;
  return { threads, batchTokens, flashAttention: flashAttn, cacheTypeK, cacheTypeV, loss };
}
