import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const shared = here("../../../shared/models/smollm2-135m/");
const real = existsSync(shared);
const file = (realName, demoName) => (real ? `${shared}${realName}` : here(`../../models/${demoName}`));

/** --model, --adapter, --samples for `parseArgs`: SmolLM2-135M in ../shared where it is there, else the demo. */
export const TRIO_OPTIONS = {
  model: { type: "string", default: file("SmolLM2-135M-Instruct.Q4_1.gguf", "demo-base.gguf") },
  adapter: { type: "string", default: file("e2e.lora.gguf", "demo-adapter.gguf") },
  samples: { type: "string", default: file("e2e.samples.jsonl", "demo-samples.jsonl") },
};
