import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadAddon } from "../../src/native/binding.js";
import type { NativeAddon, NativeModel, NativeRun, NativeScorer } from "../../src/native/types.js";
import { DEMO } from "./engine-files.js";

/** The addon's file and the folder of llama.cpp's libraries, for tests that load it themselves. */
export function addonFiles(): { readonly addon: string; readonly libraries: string } {
  const build = (path: string) => fileURLToPath(new URL(`../../native/build/${path}`, import.meta.url));
  const { libraries } = JSON.parse(readFileSync(build("llama-cpp.json"), "utf8")) as { readonly libraries: string };
  return {
    addon: build(`${process.env["LORA_BOUNDARY_ADDON"] ?? "addon"}/Release/lora_boundary.node`),
    libraries: build(libraries),
  };
}

/** Another instance of the addon in this process, as a second copy of the package would load it. */
export function loadAgain(): NativeAddon {
  const { addon, libraries } = addonFiles();
  const target: { exports: unknown } = { exports: {} };
  process.dlopen(target, addon);
  const second = target.exports as NativeAddon;
  second.loadBackends(libraries);
  return second;
}

/** What a scorer is asked for where a test is about something else. */
export const SCORER_DEFAULTS = {
  threads: 1,
  lossInGraph: false,
  flashAttention: "auto",
  keyType: "f16",
  valueType: "f16",
} as const;

export interface NativeDemo {
  readonly addon: NativeAddon;
  readonly model: NativeModel;
  readonly scorer: NativeScorer;
  /** A run of the base model, to be changed. */
  readonly run: NativeRun;
}

/** The demo's base model with a scorer and a batch of `samples` sequences of `tokens` tokens, all but the first scored. */
export async function nativeDemo(samples = 2, tokens = 40): Promise<NativeDemo> {
  const addon = await loadAddon();
  const control = new addon.JobControl();
  const model = await addon.loadModel({ path: DEMO.base, gpuLayers: 0, devices: [], control });
  const size = samples * tokens;
  const scorer = await addon.createScorer({
    model,
    maxTokens: size,
    maxSequences: samples,
    maxRows: size,
    rowsOfSequence: tokens,
    ...SCORER_DEFAULTS,
  });
  scorer.setBatch({
    tokens: Int32Array.from({ length: size }, (_, index) => (index * 7) % 1000),
    offsets: Int32Array.from({ length: samples + 1 }, (_, index) => index * tokens),
    scored: Uint8Array.from({ length: size }, (_, index) => (index % tokens === 0 ? 0 : 1)),
    shared: false,
  });
  const run: NativeRun = {
    adapter: null,
    strengths: new Float32Array(),
    resumeAt: 0,
    keepAt: new Int32Array(),
    logits: "none",
    control,
  };
  return { addon, model, scorer, run };
}
