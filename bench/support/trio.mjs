import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { engineFacts, loadModel } from "../../dist/index.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const shared = here("../../../shared/models/smollm2-135m/");
const real = existsSync(shared);
const file = (realName, demoName) => (real ? `${shared}${realName}` : here(`../../models/${demoName}`));

/** --gpu NAME and --gpu-layers N for `parseArgs`, as the commands take them; default: the CPU. */
export const DEVICE_OPTIONS = {
  gpu: { type: "string", default: "none" },
  "gpu-layers": { type: "string" },
};

/** --model, --adapter, --samples (SmolLM2-135M in ../shared where it is there, else the demo), and where to compute. */
export const TRIO_OPTIONS = {
  model: { type: "string", default: file("SmolLM2-135M-Instruct.Q4_1.gguf", "demo-base.gguf") },
  adapter: { type: "string", default: file("e2e.lora.gguf", "demo-adapter.gguf") },
  samples: { type: "string", default: file("e2e.samples.jsonl", "demo-samples.jsonl") },
  ...DEVICE_OPTIONS,
};

/** What `loadModel` is told of parsed `DEVICE_OPTIONS`. */
export function deviceOf({ gpu, "gpu-layers": gpuLayers }) {
  return { gpu, ...(gpuLayers !== undefined && { gpuLayers: Number(gpuLayers) }) };
}

/** GPUs that models were loaded on, for the line that names the machine. */
export const usedDevices = new Set();

/** Loads the base model of parsed options, or the one of `path`, where the options say. */
export async function openModel(values, path = values.model) {
  const model = await loadModel(path, deviceOf(values));
  const { devices } = await engineFacts();
  for (const { name, description } of devices) {
    if (model.placement.devices.includes(name)) usedDevices.add(`${name} (${description})`);
  }
  return model;
}

/** On the CPU resumed and plain runs have the same bits; a GPU rounds otherwise where the graph is cut. */
export function computesExactly(model) {
  return model.placement.backend === "CPU";
}
