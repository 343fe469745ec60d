import { loadAddon } from "../native/binding.js";
import type { NativeAddon } from "../native/types.js";
import { findGpus } from "./gpu-backends.js";
import type { ProbeTask } from "./gpu-probe.js";
import { nativeJob } from "./native-job.js";

/**
 * The process that `gpu-probe.ts` starts, with a `ProbeTask` as JSON in its argument. It says which devices it is about to
 * try, computes on them, and ends with 0; what kills it on the way is the answer.
 */

/** Enough for the kernels of large batches to be taken. */
const TOKENS = 64;

const task = JSON.parse(process.argv[2] ?? "") as ProbeTask;
// Ctrl-C reaches this process too, but it is the parent that tells what is cancelled.
process.on("SIGINT", () => undefined);
// Without the parent: exit() would wait for the thread that computes.
const die = () => process.kill(process.pid, "SIGKILL");
process.once("disconnect", die);
try {
  const addon = await loadAddon();
  const { devices: found } = findGpus(addon, task);
  const devices = found.filter(({ name }) => task.devices.length === 0 || task.devices.includes(name));
  await new Promise((resolve) => process.send?.(devices, resolve));
  if (devices.length > 0) {
    await decode(
      addon,
      task.model,
      devices.map(({ name }) => name),
    );
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
process.off("disconnect", die);
process.disconnect();

/** One batch through all layers and the loss, as a search computes it. */
async function decode(addon: NativeAddon, path: string, devices: readonly string[]): Promise<void> {
  const model = await nativeJob(addon, (control) => addon.loadModel({ path, gpuLayers: -1, devices, control }));
  const scorer = await addon.createScorer({
    ...{ model, maxTokens: TOKENS, maxSequences: 1, maxRows: TOKENS, rowsOfSequence: TOKENS, threads: 1 },
    ...{ lossInGraph: true, flashAttention: "auto", keyType: "f16", valueType: "f16" },
  });
  scorer.setBatch({
    tokens: Int32Array.from({ length: TOKENS }, (_, index) => index),
    offsets: Int32Array.of(0, TOKENS),
    scored: Uint8Array.from({ length: TOKENS }, (_, index) => Math.min(index, 1)),
    shared: false,
  });
  const [nll] = await nativeJob(addon, async (control) => {
    const base = { adapter: null, strengths: new Float32Array(), resumeAt: 0, keepAt: new Int32Array() };
    return (await scorer.run({ ...base, logits: "none", control })).sums;
  });
  scorer.dispose();
  model.dispose();
  if (nll === undefined || !Number.isFinite(nll)) {
    throw new Error(`The loss of the demo's base model is ${nll ?? "missing"}`);
  }
}
