import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { totalBytes } from "../dist/engine/memory-estimate.js";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { largestDifference } from "./support/scores.mjs";
import { median, timed } from "./support/timing.mjs";
import { openModel, threadsOf, TRIO_OPTIONS } from "./support/trio.mjs";

const MEBIBYTE = 1024 * 1024;

/**
 * The exhaustive boundary search against plain runs of every boundary, by the same addon in the same packing, in turn.
 * Options: those of support/trio.mjs, --limit N samples (default 12), --rounds N (default 3), --threads N, --batch-tokens N.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string", default: "12" },
      rounds: { type: "string", default: "3" },
      threads: { type: "string" },
      "batch-tokens": { type: "string", default: "512" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const options = {
    batchTokens: Number(values["batch-tokens"]),
    ...threadsOf(values),
  };
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const { samples } = await readSamples(values.samples, model, { limit: Number(values.limit) });
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);

  await touchWeights(adapter, samples);
  const session = adapter.openSession(samples, options);
  const estimatedMemoryMiB = totalBytes(await session.estimateMemory(candidates)) / MEBIBYTE;
  const memory = new PeakMemory();
  await session.score(candidates);
  const peakMemoryMiB = memory.peakMiB();
  const { replay } = session.facts;
  say(
    `${model.file.path.split("/").at(-1)}: ${model.layers} layers, ${candidates.length} candidates, ${samples.length} samples, ${session.tokens} tokens, ${session.threads} threads; replay: ${replay}`,
  );
  say(
    peakMemoryMiB === null
      ? "peak memory: measured on Linux only"
      : `memory beyond model and adapter: peak ${peakMemoryMiB.toFixed(1)} MiB, estimated ${estimatedMemoryMiB.toFixed(1)} MiB`,
  );

  const ratios = [];
  const shares = [];
  let difference = 0;
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = session.facts;
    const resumed = await timed(() => session.score(candidates));
    const after = session.facts;
    const plain = await timed(() => session.score(candidates, { plain: true }));
    difference = Math.max(difference, largestDifference(resumed.value, plain.value));
    const inNative = after.nativeSeconds - before.nativeSeconds - (after.copySeconds - before.copySeconds);
    shares.push(1 - inNative / (after.seconds - before.seconds));
    ratios.push(plain.seconds / resumed.seconds);
    say(
      `round ${round + 1}: search ${resumed.seconds.toFixed(2)} s, ${candidates.length} plain runs ${plain.seconds.toFixed(2)} s, ratio ${ratios.at(-1).toFixed(2)}`,
    );
  }
  await model.dispose();
  const speedup = median(ratios);
  const jsShare = median(shares);
  say(
    `speedup ${speedup.toFixed(2)} (median of ${ratios.length}), per-sample scores ${difference === 0 ? "bit-identical" : `differ by at most ${difference.toExponential(1)} nats per token`}`,
  );
  say(`JavaScript and copies: ${(jsShare * 100).toFixed(2)} % of the search's wall time`);
  return {
    speedup,
    bitIdentical: difference === 0,
    largestDifference: difference,
    jsShare,
    peakMemoryMiB,
    estimatedMemoryMiB,
    replay,
    samples: samples.length,
    candidates: candidates.length,
    ratios,
  };
}

/** The model file is mapped: its pages count as ours once they are read, and belong to the model, not to the search. */
async function touchWeights(adapter, samples) {
  const shortest = samples.toSorted((a, b) => a.tokens.length - b.tokens.length)[0];
  await adapter.score([shortest], boundaryCandidates(adapter.model.layers, adapter.file.layers).slice(-1), {
    plain: true,
  });
}

/** Resident memory above where it was, at its highest; Linux lets a process reset its own mark. */
class PeakMemory {
  #start;

  constructor() {
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
    if (process.platform !== "linux") return;
    writeFileSync("/proc/self/clear_refs", "5");
    this.#start = statusKiB("VmRSS");
  }

  peakMiB() {
    return this.#start === undefined ? null : (statusKiB("VmHWM") - this.#start) / 1024;
  }
}

function statusKiB(field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
