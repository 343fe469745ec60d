/**
 * Scores samples with node-llama-cpp's own API: llama.cpp's logits, a log-softmax in double. Prints one JSON object.
 * Arguments: base, adapter ("" for none), samples as JSON, then this package's addon and libraries to load beside it.
 */
import { createRequire } from "node:module";
import { getLlama } from "node-llama-cpp";

const [base, adapter, samples, addonPath, libraries] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "disabled" });
const model = await llama.loadModel({ modelPath: base, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: 512,
  sequences: 1,
  threads: 1,
  ...(adapter !== "" && { lora: adapter }),
});
const sequence = context.getSequence();

const losses = [];
for (const { tokens, scored } of JSON.parse(samples)) {
  await sequence.clearHistory();
  const input = tokens
    .slice(0, -1)
    .map((token, index) => (scored[index + 1] === 1 ? [token, { generateNext: { logits: true } }] : token));
  const results = await sequence.controlledEvaluate(input);
  let sum = 0;
  let count = 0;
  for (const [index, result] of results.entries()) {
    if (result === undefined) continue;
    const logits = [...result.next.logits.values()];
    const maximum = Math.max(...logits);
    const exponentials = logits.reduce((total, logit) => total + Math.exp(logit - maximum), 0);
    sum += Math.log(exponentials) + maximum - result.next.logits.get(tokens[index + 1]);
    count += 1;
  }
  losses.push(sum / count);
}

// Two addons over one llama.cpp in one process: the backends are registered already.
const addon = createRequire(import.meta.url)(addonPath);
addon.loadBackends(libraries);
const cpus = addon.devices().filter(({ type }) => type === "cpu").length;
const beside = await addon.loadModel({ path: base, gpuLayers: 0, devices: [], control: new addon.JobControl() });
console.log(JSON.stringify({ losses, cpus, layers: beside.facts().layers }));
process.exit(0);
