import { BackendError, UsageError } from "../errors.js";
import type { GpuLibrary } from "../native/binding.js";
import type { NativeAddon, NativeDevice, NativePlacement } from "../native/types.js";
import { findGpus, GPU_BACKENDS, gpuKinds, gpuSource, nameOf, presentGpus } from "./gpu-backends.js";
import { probeGpus } from "./gpu-probe.js";
import { connectServers } from "./rpc-servers.js";

/** Where to compute: `none` is the CPU; an explicit backend never falls back; `auto` takes the first that works. */
export type Gpu = "auto" | "cuda" | "metal" | "vulkan" | "none";

export const GPU_CHOICES: readonly Gpu[] = ["auto", "cuda", "metal", "vulkan", "none"];

/** How llama.cpp spreads a model over several devices: on one, whole layers, rows of tensors, tensors. */
export type SplitMode = "none" | "layer" | "row" | "tensor";

/** In the order of llama.cpp's numbers. */
export const SPLIT_MODES: readonly SplitMode[] = ["none", "layer", "row", "tensor"];

export interface DeviceOptions {
  /** Default `none`: the CPU, where resumed runs are bit-identical to plain ones. */
  readonly gpu?: Gpu | undefined;
  /** Names as `doctor` lists them, such as `Vulkan0`; default: every device of the chosen backend. */
  readonly devices?: readonly string[] | undefined;
  /** Layers to compute on the devices, from the top, -1 for all (default); the rest stays on the CPU. */
  readonly gpuLayers?: number | undefined;
  /** RPC servers of llama.cpp, each `host:port`; their devices count as GPUs, whatever they are. */
  readonly rpc?: readonly string[] | undefined;
  /** Default `layer`. */
  readonly splitMode?: SplitMode | undefined;
  /** Share of each device, in any unit, in the order of `Placement.devices`; default: by free memory. */
  readonly tensorSplit?: readonly number[] | undefined;
}

/** Where a model is computed. */
export interface Placement {
  /** llama.cpp's name: `CPU`, `CUDA`, `Vulkan`, `Metal`, `RPC`; joined as `RPC+CUDA` where both are used. */
  readonly backend: string;
  /** Those of RPC servers first, as llama.cpp orders them: least is sent then. */
  readonly devices: readonly string[];
  readonly gpuLayers: number;
  readonly splitMode: SplitMode;
  /** Empty: by free memory. */
  readonly tensorSplit: readonly number[];
  /** What `auto` took and why, and where memory is short; null where there is nothing to say. */
  readonly notice: string | null;
}

const ON_CPU = {
  backend: "CPU",
  devices: [],
  gpuLayers: 0,
  splitMode: "layer",
  tensorSplit: [],
  notice: null,
} as const satisfies Placement;

/**
 * Loads what is needed, connects to servers, and picks devices; GPUs have computed something in a process of their own by then.
 *
 * @throws BackendError with what was tried, where an explicit choice is not to be had: GPU_MISSING, or GPU_FAILED for one
 *   that is there and does not compute; as `connectServers`
 * @throws UsageError GPU_RANGE, GPU_LAYERS_RANGE, GPU_NONE, DEVICE_UNKNOWN, SPLIT_MODE_RANGE, TENSOR_SPLIT_RANGE; as
 *   `connectServers`
 * @throws CancelledError
 */
export async function placeModel(addon: NativeAddon, options: DeviceOptions, signal?: AbortSignal): Promise<Placement> {
  const { gpuLayers = -1, splitMode = "layer", tensorSplit = [], rpc = [] } = options;
  checkOptions(options);
  const remote = rpc.length === 0 ? [] : await connectServers(addon, rpc);
  const local = await placeOnGpu(addon, options, signal);
  if (remote.length === 0 && local.found.length === 0) return { ...ON_CPU, notice: local.notice };
  const backends = [...(remote.length > 0 ? ["RPC"] : []), ...(local.found.length > 0 ? [local.backend] : [])];
  const devices = chosenNames([...remote, ...local.found.map(({ name }) => name)], options.devices);
  if (tensorSplit.length > devices.length) {
    throw new UsageError(
      "TENSOR_SPLIT_RANGE",
      `Expected at most one share for each of ${devices.join(", ")} for \`tensorSplit\` but received ${tensorSplit.length}.`,
    );
  }
  return { backend: backends.join("+"), devices, gpuLayers, splitMode, tensorSplit, notice: local.notice };
}

/** What the addon is told of a placement. */
export function nativePlacement({ gpuLayers, devices, splitMode, tensorSplit }: Placement): NativePlacement {
  const shares = Float32Array.from(tensorSplit);
  return { gpuLayers, devices, splitMode: SPLIT_MODES.indexOf(splitMode), tensorSplit: shares };
}

function checkOptions({ gpu = "none", gpuLayers = -1, devices = [], rpc = [], ...options }: DeviceOptions): void {
  if (!GPU_CHOICES.includes(gpu)) {
    throw new UsageError("GPU_RANGE", `Expected one of ${GPU_CHOICES.join(", ")} for \`gpu\` but received ${gpu}.`);
  }
  if (!Number.isInteger(gpuLayers) || gpuLayers < -1 || gpuLayers > 100_000) {
    throw new UsageError(
      "GPU_LAYERS_RANGE",
      `Expected an integer from -1 (all) for \`gpuLayers\` but received ${gpuLayers}.`,
    );
  }
  const { splitMode = "layer", tensorSplit = [] } = options;
  if (!SPLIT_MODES.includes(splitMode)) {
    throw new UsageError(
      "SPLIT_MODE_RANGE",
      `Expected one of ${SPLIT_MODES.join(", ")} for \`splitMode\` but received ${splitMode}.`,
    );
  }
  if (
    tensorSplit.some((share) => !(share >= 0 && share < Infinity)) ||
    (tensorSplit.length > 0 && !tensorSplit.some(Boolean))
  ) {
    throw new UsageError(
      "TENSOR_SPLIT_RANGE",
      `Expected numbers from 0, one above it, for \`tensorSplit\` but received ${tensorSplit.join(",")}; write for example 3,1.`,
    );
  }
  if (gpu !== "none" || rpc.length > 0) return;
  if (devices.length === 0 && gpuLayers <= 0 && tensorSplit.length === 0 && options.splitMode === undefined) return;
  throw new UsageError(
    "GPU_NONE",
    "Expected a GPU backend for `gpu`, or servers for `rpc`, with `devices`, `gpuLayers`, `tensorSplit` or `splitMode` but received none: add --gpu auto, or leave them out.",
  );
}

/** Devices of the local backend that `gpu` names; none on the CPU. */
async function placeOnGpu(
  addon: NativeAddon,
  { gpu = "none", devices = [], rpc = [] }: DeviceOptions,
  signal: AbortSignal | undefined,
) {
  if (gpu === "none") return { backend: "CPU", found: [], notice: null };
  const tried: string[] = [];
  const failed: GpuLibrary[] = [];
  for (const kind of gpu === "auto" ? gpuKinds() : [gpu]) {
    const backend = GPU_BACKENDS[kind];
    const { devices: found, refused, isFailure } = await tryGpu(addon, kind, devices, signal);
    if (refused !== null) {
      tried.push(`${backend}: ${refused}`);
      if (isFailure) failed.push(kind);
      continue;
    }
    const others = failed.length === 0 ? "" : ` (${tried.join("; ")})`;
    const notice = `Computing on ${found.map(nameOf).join(", ")}, the first GPU that llama.cpp found to compute${others}.`;
    return { backend, found, notice: gpu === "auto" ? notice : null };
  }
  const advice = failed.length === 0 ? "Install its driver" : failed.map(adviceFor).join("; ");
  // Devices that are named are an explicit choice too; with servers they may be those of the servers.
  if (gpu === "auto" && (devices.length === 0 || rpc.length > 0)) {
    const notice = `Computing on the CPU: ${tried.join("; ")}.${failed.length === 0 ? "" : ` ${advice}.`}`;
    return { backend: "CPU", found: [], notice };
  }
  const wanted = gpu === "auto" ? "GPU" : GPU_BACKENDS[gpu];
  const what = failed.length > 0 ? "none that computes" : "none";
  throw new BackendError(
    failed.length > 0 ? "GPU_FAILED" : "GPU_MISSING",
    `Expected a ${wanted} device for \`gpu\` but found ${what}: ${tried.join("; ")}. ${advice}, or compute on the CPU with --gpu none.`,
    { details: { gpu, tried } },
  );
}

/** What helps where a GPU is there and does not compute. */
export function adviceFor(kind: GpuLibrary): string {
  return `Update the driver that ${GPU_BACKENDS[kind]} uses, have lora-boundary-build --${kind} build the library for it, or choose devices that compute (doctor tries each)`;
}

export interface TriedGpu {
  readonly devices: readonly NativeDevice[];
  /** Null where they compute. */
  readonly refused: string | null;
  /** Whether it is there, and a trial in a process of its own failed: then its library was not loaded here. */
  readonly isFailure: boolean;
}

/** A GPU backend's devices, those in `names` (all where there are none) tried before its library is loaded here. */
export async function tryGpu(
  addon: NativeAddon,
  kind: GpuLibrary,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<TriedGpu> {
  const source = gpuSource(kind);
  const isThere = source.library !== null || presentGpus(addon, source.backend).length > 0;
  const { devices, failure } = isThere ? await probeGpus(source, names, signal) : { devices: [], failure: null };
  if (failure !== null) return { devices, refused: failure, isFailure: true };
  return { ...findGpus(addon, source), isFailure: false };
}

function chosenNames(names: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      "DEVICE_UNKNOWN",
      `Expected one of ${names.join(", ")} for \`devices\` but received ${unknown}.`,
      { details: { devices: names } },
    );
  }
  return wanted === undefined || wanted.length === 0 ? names : wanted;
}
