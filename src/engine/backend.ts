import { availableParallelism } from "node:os";
import { builtBackends, loadAddon, type BuiltBackends } from "../native/binding.js";
import type { NativeDevice } from "../native/types.js";
import { gpuKinds, tryGpu } from "./devices.js";
import { connectServers } from "./rpc-servers.js";

export { requireAddonBuilt } from "../native/binding.js";

/** What computes: llama.cpp and the devices that its backends found. */
export interface EngineFacts {
  readonly llamaCpp: string;
  readonly devices: readonly NativeDevice[];
  /** GPU backends that cannot be used here, and why; empty unless asked for. */
  readonly refused: readonly { readonly backend: string; readonly reason: string }[];
  /** What `lora-boundary-build` built, and where; null: all is as node-llama-cpp brings it. */
  readonly built: BuiltBackends | null;
  /** Instruction sets and options, as llama.cpp prints them. */
  readonly systemInfo: string;
}

/**
 * @param options.gpus load the GPU backends as well, so that their devices are listed; they stay loaded. Default false
 * @param options.rpc RPC servers, each `host:port`, whose devices are to be listed as well. Default: none
 * @throws BackendError ADDON_MISSING, ADDON_FAILED, NO_BACKEND; as `connectServers`; UsageError RPC_SERVER
 */
export async function engineFacts({
  gpus = false,
  rpc = [],
}: { readonly gpus?: boolean; readonly rpc?: readonly string[] } = {}): Promise<EngineFacts> {
  const addon = await loadAddon();
  if (rpc.length > 0) await connectServers(addon, rpc);
  const { llamaCpp, systemInfo } = addon.versions();
  const refused = (gpus ? gpuKinds() : []).flatMap((kind) => {
    const { backend, refused: reason } = tryGpu(addon, kind);
    return reason === null ? [] : [{ backend, reason }];
  });
  return { llamaCpp, systemInfo, devices: addon.devices(), refused, built: builtBackends() };
}

/** Above four hardware threads two of them usually share a core, and ggml's threads wait for each other busily. */
export function defaultThreads(): number {
  const threads = availableParallelism();
  return threads > 4 ? Math.floor(threads / 2) : threads;
}
