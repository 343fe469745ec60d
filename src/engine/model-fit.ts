import { MemoryError } from "../errors.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import type { NativeDevice } from "../native/types.js";
import type { Placement } from "./devices.js";
import { sizeText, type HostMemory } from "./host-memory.js";

/** What of a base model's file the estimate needs. */
export interface WeighedModel {
  readonly path: string;
  readonly layers: number;
  readonly tensors: ReadonlyMap<string, TensorDescriptor>;
}

/** Where a model's weights lie once it is loaded, bytes. */
export interface WeightPlaces {
  readonly devices: number;
  /** On the host, most of it mapped from the file: read when it is used, and let go when memory is short. */
  readonly host: number;
  /** Of `host`: at most so much is rewritten for the processor's kernels and has to stay in memory. */
  readonly rewritten: number;
}

/** Types that llama.cpp's CPU backend rewrites for its kernels when a model is loaded (`CPU_REPACK`), by processor. */
const REWRITTEN: ReadonlySet<string> = new Set(
  process.arch === "x64"
    ? ["Q4_0", "Q4_K", "Q2_K", "IQ4_NL"]
    : ["Q4_0", "Q4_K", "Q2_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4"],
);

/**
 * llama.cpp's own rule: of the L layers and the output head the last `gpuLayers` go to the devices, the token embedding
 * stays; where it is the output head as well, the device gets a copy.
 *
 * @param gpuLayers -1: all
 */
export function weightPlaces({ layers, tensors }: WeighedModel, gpuLayers: number): WeightPlaces {
  const onDevices = gpuLayers < 0 ? layers + 1 : Math.min(gpuLayers, layers + 1);
  const firstOnDevices = layers + 1 - onDevices;
  const places = { devices: 0, host: 0, rewritten: 0 };
  for (const { name, bytes, type, shape } of tensors.values()) {
    const embedding = name.startsWith("token_embd.");
    const layer = embedding ? -1 : Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? layers);
    if (layer >= firstOnDevices) {
      places.devices += bytes;
      continue;
    }
    places.host += bytes;
    if (!embedding && shape.length >= 2 && REWRITTEN.has(type.name)) places.rewritten += bytes;
  }
  const tied = tensors.has("output.weight") ? undefined : tensors.get("token_embd.weight");
  if (onDevices > 0) places.devices += tied?.bytes ?? 0;
  return places;
}

/**
 * Before a model is loaded: whether its weights fit where they are to go, by what its file says and what is free.
 *
 * Weights on the host are mapped, so what is not free now only makes a search slow, with a notice. What exceeds the memory
 * as a whole would be read from the disk in every pass, and what is rewritten cannot be let go: both are errors.
 *
 * @returns a notice, or null
 * @throws MemoryError MODEL_TOO_LARGE with `neededBytes` and `freeBytes`
 */
export function requireModelFits(
  model: WeighedModel,
  { gpuLayers, devices: names, backend }: Pick<Placement, "gpuLayers" | "devices" | "backend">,
  devices: readonly Pick<NativeDevice, "name" | "memoryFree">[],
  memory: HostMemory,
): string | null {
  const places = weightPlaces(model, names.length === 0 ? 0 : gpuLayers);
  const used = devices.filter(({ name }) => names.includes(name));
  const deviceFree = used.reduce((sum, { memoryFree }) => sum + memoryFree, 0);
  if (places.devices > deviceFree) {
    const most = mostLayers(model, deviceFree);
    const fewer = most === 0 ? "not one layer fits there" : `--gpu-layers ${most} is the most that fits`;
    throw tooLarge(
      model,
      `${sizeText(places.devices)} on ${used.map(({ name }) => name).join(", ")} (${backend})`,
      sizeText(deviceFree),
      `Compute fewer layers there (${fewer}), or choose other devices (--device)`,
      { neededBytes: places.devices, freeBytes: deviceFree, mostGpuLayers: most },
    );
  }
  const offload = "Compute layers on a GPU (--gpu auto, --gpu-layers N)";
  const free = memory.available + memory.swap;
  if (places.host > memory.capacity) {
    throw tooLarge(model, `${sizeText(places.host)} of memory`, `${sizeText(memory.capacity)} at all`, offload, {
      neededBytes: places.host,
      freeBytes: memory.capacity,
    });
  }
  if (places.rewritten > free) {
    throw tooLarge(model, `${sizeText(places.rewritten)} of memory`, sizeText(free), offload, {
      neededBytes: places.rewritten,
      freeBytes: free,
    });
  }
  if (places.host <= memory.available) return null;
  return `The model's ${sizeText(places.host)} are more than the ${sizeText(memory.available)} of memory that are free, so parts of it are read from the disk again and again: close other programs, or use a smaller quantisation.`;
}

/** The most layers, the output head among them, whose weights take no more than `free` bytes. */
function mostLayers(model: WeighedModel, free: number): number {
  let most = model.layers + 1;
  while (most > 0 && weightPlaces(model, most).devices > free) most -= 1;
  return most;
}

function tooLarge(
  { path }: WeighedModel,
  needed: string,
  free: string,
  first: string,
  details: Readonly<Record<string, unknown>>,
): MemoryError {
  return new MemoryError(
    "MODEL_TOO_LARGE",
    `${path}: The weights need about ${needed} but only ${free} are free. ${first}, use a smaller quantisation of the model, spread it over several machines (--rpc), or close other programs.`,
    { details: { path, ...details } },
  );
}
