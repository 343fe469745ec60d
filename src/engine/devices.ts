import { BackendError, UsageError } from "../errors.js";
import { backendLibrary, type GpuLibrary } from "../native/binding.js";
import type { NativeAddon, NativeDevice, NativePlacement } from "../native/types.js";
import { fromNative } from "./native-job.js";
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

/** llama.cpp's own names. */
const BACKENDS = { cuda: "CUDA", vulkan: "Vulkan", metal: "Metal" } as const;

/**
 * Loads what is needed, connects to servers, and picks devices.
 *
 * @throws BackendError GPU_MISSING with what was tried, where an explicit choice is not to be had; as `connectServers`
 * @throws UsageError GPU_RANGE, GPU_LAYERS_RANGE, GPU_NONE, DEVICE_UNKNOWN, SPLIT_MODE_RANGE, TENSOR_SPLIT_RANGE; as
 *   `connectServers`
 */
export async function placeModel(addon: NativeAddon, options: DeviceOptions): Promise<Placement> {
  const { gpuLayers = -1, splitMode = "layer", tensorSplit = [], rpc = [] } = options;
  checkOptions(options);
  const remote = rpc.length === 0 ? [] : await connectServers(addon, rpc);
  const local = placeOnGpu(addon, options);
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
function placeOnGpu(addon: NativeAddon, { gpu = "none" }: DeviceOptions) {
  if (gpu === "none") return { backend: "CPU", found: [], notice: null };
  const tried: string[] = [];
  for (const kind of gpu === "auto" ? gpuKinds() : [gpu]) {
    const { backend, devices: found, refused } = tryGpu(addon, kind);
    if (refused !== null) {
      tried.push(`${backend}: ${refused}`);
      continue;
    }
    const notice = `Computing on ${found.map(({ name, description }) => `${name} (${description})`).join(", ")}, the first GPU that llama.cpp found.`;
    return { backend, found, notice: gpu === "auto" ? notice : null };
  }
  if (gpu === "auto") return { backend: "CPU", found: [], notice: `Computing on the CPU: ${tried.join("; ")}.` };
  throw new BackendError(
    "GPU_MISSING",
    `Expected a ${BACKENDS[gpu]} device for \`gpu\` but found none: ${tried.join("; ")}. Install its driver, or compute on the CPU with --gpu none.`,
    { details: { gpu, tried } },
  );
}

/** GPU backends that this platform can have, the better one first. */
export function gpuKinds(): readonly GpuLibrary[] {
  return process.platform === "darwin" ? ["metal"] : ["cuda", "vulkan"];
}

/** A GPU backend's devices, its library loaded if need be; without any, why. */
export interface TriedGpu {
  readonly backend: string;
  readonly devices: readonly NativeDevice[];
  readonly refused: string | null;
}

export function tryGpu(addon: NativeAddon, kind: GpuLibrary): TriedGpu {
  const backend = BACKENDS[kind];
  const present = () =>
    addon.devices().filter((device) => device.backend === backend && !["cpu", "accelerator"].includes(device.type));
  const refuse = (refused: string): TriedGpu => ({ backend, devices: [], refused });
  if (present().length === 0) {
    const library = backendLibrary(kind);
    if (library === null) return refuse("node-llama-cpp has no such backend installed for this platform");
    try {
      addon.loadBackend(library);
    } catch (error) {
      return refuse(fromNative(error).message.replace(/\.$/, ""));
    }
  }
  const devices = present();
  return devices.length > 0 ? { backend, devices, refused: null } : refuse("its driver shows no device");
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
