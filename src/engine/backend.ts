import { availableParallelism } from "node:os";
import { builtBackends, loadAddon, type BuiltBackends } from "../native/binding.js";
import type { NativeDevice } from "../native/types.js";
import { adviceFor, tryGpu } from "./devices.js";
import { GPU_BACKENDS, gpuKinds, gpuSource } from "./gpu-backends.js";
import { probeGpus } from "./gpu-probe.js";
import { connectServers } from "./rpc-servers.js";

export { requireAddonBuilt } from "../native/binding.js";

/** A device, and what came of trying it. */
export interface TriedDevice extends NativeDevice {
  /** Null: not tried. Every GPU is where GPUs are asked for, in a process of its own: one batch of the demo's base model. */
  readonly trial: { readonly computes: boolean; readonly failure: string | null } | null;
}

/** What computes: llama.cpp and the devices that its backends found. */
export interface EngineFacts {
  readonly llamaCpp: string;
  readonly devices: readonly TriedDevice[];
  /** GPU backends that cannot be used here, and why; empty unless asked for. */
  readonly refused: readonly { readonly backend: string; readonly reason: string }[];
  /** What `lora-boundary-build` built, and where; null: all is as node-llama-cpp brings it. */
  readonly built: BuiltBackends | null;
  /** Instruction sets and options, as llama.cpp prints them. */
  readonly systemInfo: string;
}

export interface EngineFactsOptions {
  /** Try the GPU backends as well, so that their devices are listed; those that compute stay loaded. Default false */
  readonly gpus?: boolean | undefined;
  /** RPC servers, each `host:port`, whose devices are to be listed as well. Default: none */
  readonly rpc?: readonly string[] | undefined;
  /** Stops the trials. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws BackendError ADDON_MISSING, ADDON_FAILED, NO_BACKEND; as `connectServers`; UsageError RPC_SERVER; CancelledError
 */
export async function engineFacts({ gpus = false, rpc = [], signal }: EngineFactsOptions = {}): Promise<EngineFacts> {
  const addon = await loadAddon();
  if (rpc.length > 0) await connectServers(addon, rpc);
  const { llamaCpp, systemInfo } = addon.versions();
  const refused: { backend: string; reason: string }[] = [];
  const tried: TriedDevice[] = [];
  for (const kind of gpus ? gpuKinds() : []) {
    const { devices, refused: reason, isFailure } = await tryGpu(addon, kind, [], signal);
    if (reason !== null) {
      refused.push({ backend: GPU_BACKENDS[kind], reason: isFailure ? `${reason}. ${adviceFor(kind)}` : reason });
    }
    for (const device of devices) {
      // What all of them do together, each does; if they do not, it may be one of them.
      const { failure } =
        reason === null || devices.length === 1
          ? { failure: reason }
          : await probeGpus(gpuSource(kind), [device.name], signal);
      tried.push({ ...device, trial: { computes: failure === null, failure } });
    }
  }
  const names = new Set(tried.map(({ name }) => name));
  const others = addon.devices().filter(({ name }) => !names.has(name));
  const devices = [...others.map((device) => ({ ...device, trial: null })), ...tried];
  return { llamaCpp, systemInfo, devices, refused, built: builtBackends() };
}

/** Above four hardware threads two of them usually share a core, and ggml's threads wait for each other busily. */
export function defaultThreads(): number {
  const threads = availableParallelism();
  return threads > 4 ? Math.floor(threads / 2) : threads;
}
