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
  /** What `auto` took and why; null where there was nothing to choose. */
  readonly notice: string | null;
}

const ON_CPU = { backend: "CPU", devices: [], gpuLayers: 0, notice: null } as const satisfies Placement;

/** llama.cpp's own names. */
const BACKENDS = { cuda: "CUDA", vulkan: "Vulkan", metal: "Metal" } as const;

/**
 * Loads what is needed and picks devices.
 *
 * @throws BackendError GPU_MISSING with what was tried, where an explicit choice is not to be had
 * @throws UsageError GPU_RANGE, GPU_LAYERS_RANGE, DEVICE_UNKNOWN
 */
export function placeModel(addon: NativeAddon, { gpu = "none", devices, gpuLayers = -1 }: DeviceOptions): Placement {
  if (!GPU_CHOICES.includes(gpu)) {
    throw new UsageError("GPU_RANGE", `Expected one of ${GPU_CHOICES.join(", ")} for \`gpu\` but received ${gpu}.`);
  }
  if (!Number.isInteger(gpuLayers) || gpuLayers < -1 || gpuLayers > 100_000) {
    throw new UsageError(
      "GPU_LAYERS_RANGE",
      `Expected an integer from -1 (all) for \`gpuLayers\` but received ${gpuLayers}.`,
    );
  }
  if (gpu === "none") return ON_CPU;
  const tried: string[] = [];
  for (const kind of gpu === "auto" ? automaticOrder() : [gpu]) {
    const found = devicesOf(addon, kind, tried);
    if (found.length === 0) continue;
    const names = chosenNames(found, devices);
    const notice = `Computing on ${found.map(({ name, description }) => `${name} (${description})`).join(", ")}, the first GPU that llama.cpp found.`;
    return { backend: BACKENDS[kind], devices: names, gpuLayers, notice: gpu === "auto" ? notice : null };
  }
  if (gpu === "auto") return { ...ON_CPU, notice: `Computing on the CPU: ${tried.join("; ")}.` };
  throw new BackendError(
    "GPU_MISSING",
    `Expected a ${BACKENDS[gpu]} device for \`gpu\` but found none: ${tried.join("; ")}. Install its driver, or compute on the CPU with --gpu none.`,
    { details: { gpu, tried } },
  );
}

function automaticOrder(): readonly GpuLibrary[] {
  return process.platform === "darwin" ? ["metal"] : ["cuda", "vulkan"];
}

function devicesOf(addon: NativeAddon, kind: GpuLibrary, tried: string[]): readonly NativeDevice[] {
  const present = () =>
    addon
      .devices()
      .filter(({ backend, type }) => backend === BACKENDS[kind] && type !== "cpu" && type !== "accelerator");
  if (present().length > 0) return present();
  const library = gpuLibrary(kind);
  if (library === null) {
    tried.push(`${BACKENDS[kind]}: node-llama-cpp has no such backend installed for this platform`);
    return [];
  }
  try {
    addon.loadBackend(library);
  } catch (error) {
    tried.push(`${BACKENDS[kind]}: ${fromNative(error).message.replace(/\.$/, "")}`);
    return [];
  }
  if (present().length === 0) tried.push(`${BACKENDS[kind]}: its driver shows no device`);
  return present();
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
