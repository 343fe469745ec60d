import { parseArgs } from "node:util";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { timed } from "./support/timing.mjs";
import { openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/** Differences of less than this share of a base pass are noise. */
const LEAST_SEEN = 0.01;

/**
 * What an adapter adds to a pass of its base model: by llama.cpp's own nodes with the ranks of its file, with padded ranks, and
 * by one node per pair (`fusedLora`, as everything is scored on a CPU), in turn.
 * Options: those of support/trio.mjs, --limit N samples (default 3), --rounds N (default 12), --threads N (default 1).
 * Times are of the processor, and of one thread unless asked otherwise: threads wait for each other busily, and what else runs
 * on the machine disturbs these least.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string", default: "3" },
      rounds: { type: "string", default: "12" },
      threads: { type: "string", default: "1" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const threads = { threads: Number(values.threads) };
  const model = await openModel(values);
  const { samples } = await readSamples(values.samples, model, { limit: Number(values.limit) });
  const asFile = await model.loadAdapter(values.adapter, { rankMultiple: 1 });
  const padded = await model.loadAdapter(values.adapter, { rankMultiple: 16 });
  const fused = await model.loadAdapter(values.adapter);
  const base = boundaryCandidates(model.layers, asFile.file.layers).slice(0, 1);
  const full = boundaryCandidates(model.layers, asFile.file.layers).slice(-1);
  const sessions = [asFile, padded, fused].map((adapter) => adapter.openSession(samples, threads));
  const kinds = [
    { name: "base", work: () => sessions[0].score(base) },
    { name: "as in the file", work: () => sessions[0].score(full) },
    { name: "padded", work: () => sessions[1].score(full) },
    { name: "fused", work: () => sessions[2].score(full) },
  ];
  const seconds = kinds.map(() => []);
  for (const { work } of kinds) await work();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [index, { work }] of kinds.entries()) {
      seconds[index].push((await timed(work)).cpuSeconds);
    }
    say(
      `round ${round + 1}: ${kinds.map(({ name }, index) => `${name} ${seconds[index].at(-1).toFixed(3)} s`).join(", ")}`,
    );
  }
  await model.dispose();
  // What noise adds is never negative, so the smallest time of each kind is the nearest to its own.
  const [baseSeconds, fileSeconds, paddedSeconds, fusedSeconds] = seconds.map((times) => Math.min(...times));
  const paddedRatio = (fileSeconds - baseSeconds) / (paddedSeconds - baseSeconds);
  // What is too little to be seen counts as the least that could be.
  const added = Math.max(fusedSeconds - baseSeconds, LEAST_SEEN * baseSeconds);
  const overheadRatio = (fileSeconds - baseSeconds) / added;
  say(
    `rank ${asFile.file.ranks.join(", ")}, padded to a multiple of ${padded.rankMultiple}; ${sessions[0].tokens} tokens, ${sessions[0].threads} threads`,
  );
  const times = (spent) => (spent / baseSeconds).toFixed(2);
  say(
    `a pass with the adapter takes ${times(fileSeconds)} times a base pass, padded ${times(paddedSeconds)}, fused ${times(fusedSeconds)} times`,
  );
  say(
    `what the adapter adds is ${paddedRatio.toFixed(1)} times smaller padded, ${overheadRatio.toFixed(1)} times smaller fused (must be at least 3)`,
  );
  return { overheadRatio, paddedRatio, baseSeconds, fileSeconds, paddedSeconds, fusedSeconds };
}
