import { BackendError, UsageError } from "../errors.js";
import { gpuLibrary, type GpuLibrary } from "../native/binding.js";
import type { NativeAddon, NativeDevice } from "../native/types.js";
import { fromNative } from "./native-job.js";

/** Where to compute: `none` is the CPU; an explicit backend never falls back; `auto` takes the first that works. */
export type Gpu = "auto" | "cuda" | "metal" | "vulkan" | "none";

export const GPU_CHOICES: readonly Gpu[] = ["auto", "cuda", "metal", "vulkan", "none"];

export interface DeviceOptions {
  /** Default `none`: the CPU, where resumed runs are bit-identical to plain ones. */
  readonly gpu?: Gpu | undefined;
  /** Names as `doctor` lists them, such as `Vulkan0`; default: every device of the chosen backend. */
  readonly devices?: readonly string[] | undefined;
  /** Layers to compute on the GPU, -1 for all (default); the rest stays on the CPU. */
  readonly gpuLayers?: number | undefined;
}

/** Where a model is computed. */
export interface Placement {
  /** llama.cpp's name: `CPU`, `CUDA`, `Vulkan`, `Metal`. */
  readonly backend: string;
  readonly devices: readonly string[];
  readonly gpuLayers: number;
  /** What `auto` took and why, and where memory is short; null where there is nothing to say. */
  readonly notice: string | null;
}

const ON_CPU = { backend: "CPU", devices: [], gpuLayers: 0, notice: null } as const satisfies Placement;

/** llama.cpp's own names. */
const BACKENDS = { cuda: "CUDA", vulkan: "Vulkan", metal: "Metal" } as const;

/**
 * Loads what is needed and picks devices.
 *
 * @throws BackendError GPU_MISSING with what was tried, where an explicit choice is not to be had
 * @throws UsageError GPU_RANGE, GPU_LAYERS_RANGE, GPU_NONE, DEVICE_UNKNOWN
 */
export function placeModel(addon: NativeAddon, options: DeviceOptions): Placement {
  const { gpu = "none", devices, gpuLayers = -1 } = options;
  if (!GPU_CHOICES.includes(gpu)) {
    throw new UsageError("GPU_RANGE", `Expected one of ${GPU_CHOICES.join(", ")} for \`gpu\` but received ${gpu}.`);
  }
  if (!Number.isInteger(gpuLayers) || gpuLayers < -1 || gpuLayers > 100_000) {
    throw new UsageError(
      "GPU_LAYERS_RANGE",
      `Expected an integer from -1 (all) for \`gpuLayers\` but received ${gpuLayers}.`,
    );
  }
  if (gpu === "none") {
    if ((devices?.length ?? 0) === 0 && (options.gpuLayers ?? 0) <= 0) return ON_CPU;
    throw new UsageError(
      "GPU_NONE",
      "Expected a GPU backend for `gpu` with `devices` or `gpuLayers` but received none: add --gpu auto, or leave them out.",
    );
  }
  const tried: string[] = [];
  for (const kind of gpu === "auto" ? gpuKinds() : [gpu]) {
    const { backend, devices: found, refused } = tryGpu(addon, kind);
    if (refused !== null) {
      tried.push(`${backend}: ${refused}`);
      continue;
    }
    const names = chosenNames(found, devices);
    const notice = `Computing on ${found.map(({ name, description }) => `${name} (${description})`).join(", ")}, the first GPU that llama.cpp found.`;
    return { backend, devices: names, gpuLayers, notice: gpu === "auto" ? notice : null };
  }
  if (gpu === "auto") return { ...ON_CPU, notice: `Computing on the CPU: ${tried.join("; ")}.` };
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
    const library = gpuLibrary(kind);
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

function chosenNames(found: readonly NativeDevice[], wanted: readonly string[] | undefined): string[] {
  const names = found.map(({ name }) => name);
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      "DEVICE_UNKNOWN",
      `Expected one of ${names.join(", ")} for \`devices\` but received ${unknown}.`,
      { details: { devices: names } },
    );
  }
  return wanted === undefined || wanted.length === 0 ? names : [...wanted];
}
