import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries, randomSamples } from "../support/engine-samples.js";
import { measuresMemory } from "../support/peak-memory.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Resident memory after a collection, MiB. */
function residentMebibytes(): number {
  collectGarbage();
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
}

const ROUNDS = 1000;

test.skipIf(!measuresMemory)(
  measuresMemory
    ? `${ROUNDS} adapter loads, searches and changes of strength leave the memory flat`
    : "memory over many searches (SKIPPED: it is read from /proc, on Linux only, and not under sanitizers)",
  async () => {
    await using model = await loadModel(DEMO.base);
    const samples = randomSamples([5, 7], model.facts.vocabulary, 1);
    const candidates = allBoundaries(12).filter((_, boundary) => [0, 6, 12].includes(boundary));
    const search = async () => {
      await using adapter = await model.loadAdapter(DEMO.adapter);
      return await adapter.score(samples, candidates, { threads: 1, batchTokens: 16 });
    };
    const first = await search();
    // Arenas of the pool's threads and compiled code fill up first.
    for (let round = 0; round < 250; round++) await search();
    const start = residentMebibytes();
    for (let round = 0; round < ROUNDS; round++) await search();
    const end = residentMebibytes();
    console.log(`resident memory before ${ROUNDS} searches ${start.toFixed(1)} MiB, after ${end.toFixed(1)} MiB`);
    expect(end - start).toBeLessThan(15);
    expect(await search()).toEqual(first);
  },
);
