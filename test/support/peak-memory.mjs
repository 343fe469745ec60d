/**
 * Resident memory that a search adds, at its highest (Linux). A process of its own, on the compiled package.
 * Arguments: base, adapter, JSONL, copies of its first row (four fill a batch), boundaries ("30,29,0").
 * Prints { peak, estimated, samples, batches }, bytes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { totalBytes } from "../../dist/engine/memory-estimate.js";
import { boundaryCandidates, loadModel, readSamples } from "../../dist/index.js";

const [base, adapterPath, file, copies, boundaries] = process.argv.slice(2);
const model = await loadModel(base);
const adapter = await model.loadAdapter(adapterPath);
const row = JSON.parse(readFileSync(file, "utf8").split("\n")[0]);
const [sample] = (await readSamples([row], model)).samples;
const samples = new Array(Number(copies)).fill(sample);
const all = boundaryCandidates(model.layers, adapter.file.layers);
const candidates = boundaries.split(",").map((b) => all[Number(b)]);
const options = { threads: 1, batchTokens: 4 * (sample.tokens.length - 1), sharePrefixes: false };

// The weights are mapped: their pages are the model's, not the search's, so they are touched before.
await adapter.score([sample], all.slice(-1), { ...options, plain: true });
const session = adapter.openSession(samples, options);
const estimated = totalBytes(await session.estimateMemory(candidates));
setFlagsFromString("--expose-gc");
runInNewContext("gc")();
writeFileSync("/proc/self/clear_refs", "5");
const start = statusBytes("VmRSS");
await session.score(candidates);
const peak = statusBytes("VmHWM") - start;
console.log(JSON.stringify({ peak, estimated, samples: samples.length, batches: session.batches.length }));
await model.dispose();

function statusBytes(field) {
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "utf8"))[1]);
}
