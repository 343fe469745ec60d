import { availableParallelism } from "node:os";
import { loadAddon } from "../native/binding.js";
import type { NativeDevice } from "../native/types.js";

/** What computes: llama.cpp and the devices that its backends found. */
export interface EngineFacts {
  readonly llamaCpp: string;
  readonly devices: readonly NativeDevice[];
  /** Instruction sets and options, as llama.cpp prints them. */
  readonly systemInfo: string;
}

/** @throws BackendError ADDON_MISSING, ADDON_FAILED, NO_BACKEND */
export async function engineFacts(): Promise<EngineFacts> {
  const addon = await loadAddon();
  const { llamaCpp, systemInfo } = addon.versions();
  return { llamaCpp, systemInfo, devices: addon.devices() };
}

/** Above four hardware threads two of them usually share a core, and ggml's threads wait for each other busily. */
export function defaultThreads(): number {
  const threads = availableParallelism();
  return threads > 4 ? Math.floor(threads / 2) : threads;
}
