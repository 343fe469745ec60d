import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { engineFacts, loadModel, readSamples } from "../../dist/index.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const shared = here("../../../shared/models/smollm2-135m/");

/** --gpu NAME and --gpu-layers N for `parseArgs`, as the commands take them; default: the CPU. */
export const DEVICE_OPTIONS = {
  gpu: { type: "string", default: "none" },
  "gpu-layers": { type: "string" },
};

const trioOptions = (folder, model, adapter, samples) => ({
  model: { type: "string", default: `${folder}${model}` },
  adapter: { type: "string", default: `${folder}${adapter}` },
  samples: { type: "string", default: `${folder}${samples}` },
  ...DEVICE_OPTIONS,
});

/** --model, --adapter, --samples for `parseArgs`, by default the small demo, and where to compute. */
export const DEMO_OPTIONS = trioOptions(
  here("../../models/"),
  ...["demo-base.gguf", "demo-adapter.gguf", "demo-samples.jsonl"],
);

/** The same with SmolLM2-135M in ../shared, where it is there. */
export const TRIO_OPTIONS = existsSync(shared)
  ? trioOptions(shared, "SmolLM2-135M-Instruct.Q4_1.gguf", "e2e.lora.gguf", "e2e.samples.jsonl")
  : DEMO_OPTIONS;

/** What `loadModel` is told of parsed `DEVICE_OPTIONS`. */
export function deviceOf({ gpu, "gpu-layers": gpuLayers }) {
  return { gpu, ...(gpuLayers !== undefined && { gpuLayers: Number(gpuLayers) }) };
}

/** What calls are told of `--threads`; nothing where it was left out. */
export function threadsOf({ threads }) {
  return threads === undefined ? {} : { threads: Number(threads) };
}

/** The samples of parsed options: all, or the `--limit` asked for. */
export function someSamples({ samples, limit }, model) {
  return readSamples(samples, model, limit === undefined ? {} : { limit: Number(limit) });
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
