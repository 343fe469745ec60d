import { backendLibrary, type GpuLibrary } from "../native/binding.js";
import type { NativeAddon, NativeDevice } from "../native/types.js";
import { fromNative } from "./native-job.js";

/** llama.cpp's own names. */
export const GPU_BACKENDS = { cuda: "CUDA", vulkan: "Vulkan", metal: "Metal" } as const satisfies Record<
  GpuLibrary,
  string
>;

/** GPU backends that this platform can have, the better one first. */
export function gpuKinds(): readonly GpuLibrary[] {
  return process.platform === "darwin" ? ["metal"] : ["cuda", "vulkan"];
}

/** A GPU backend's devices; without any, why. */
export interface FoundGpu {
  readonly devices: readonly NativeDevice[];
  readonly refused: string | null;
}

/** A backend, and the library to load where it has no devices yet; null where it is not there. */
export interface GpuSource {
  readonly backend: string;
  readonly library: string | null;
}

/** To be asked when the addon is loaded. */
export function gpuSource(kind: GpuLibrary): GpuSource {
  return { backend: GPU_BACKENDS[kind], library: backendLibrary(kind) };
}

export function presentGpus(addon: NativeAddon, backend: string): readonly NativeDevice[] {
  return addon
    .devices()
    .filter((device) => device.backend === backend && !["cpu", "accelerator"].includes(device.type));
}

export function nameOf({ name, description }: NativeDevice): string {
  return `${name} (${description})`;
}

/** A backend's devices, its library loaded if need be. */
export function findGpus(addon: NativeAddon, { backend, library }: GpuSource): FoundGpu {
  const refuse = (refused: string): FoundGpu => ({ devices: [], refused });
  if (presentGpus(addon, backend).length === 0) {
    if (library === null) return refuse("node-llama-cpp has no such backend installed for this platform");
    try {
      addon.loadBackend(library);
    } catch (error) {
      return refuse(fromNative(error).message.replace(/\.$/, ""));
    }
  }
  const devices = presentGpus(addon, backend);
  return devices.length > 0 ? { devices, refused: null } : refuse("its driver shows no device");
}
