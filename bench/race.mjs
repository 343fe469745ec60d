import { parseArgs } from "node:util";
import { boundaryCandidates, calibrate } from "../dist/index.js";
import { conclude } from "../dist/search/conclude.js";
import { timed } from "./support/timing.mjs";
import { openModel, someSamples, threadsOf, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * A race over all boundaries against plain runs of every boundary, one after the other, by the clock and by processor time.
 * Plain runs of all samples take long: they are measured on a few of them and scaled by tokens, and the exhaustive choice
 * comes from one trie, whose scores are those of plain runs bit for bit (`bench search`, the native tests).
 * Options: those of support/trio.mjs, --limit N samples, --plain-samples N (default 24; `all`: nothing is scaled, and the
 * choice is that of the plain runs), --margin X (default 0.02), --seed N, --threads N.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string" },
      "plain-samples": { type: "string", default: "24" },
      margin: { type: "string", default: "0.02" },
      seed: { type: "string", default: "0" },
      threads: { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const [margin, seed] = [Number(values.margin), Number(values.seed)];
  const threads = threadsOf(values);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const set = await someSamples(values, model);
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  say(`${model.layers} layers, ${candidates.length} boundaries, ${set.samples.length} samples`);

  const raced = await timed(() => calibrate(adapter, set, { margin, seed, strategy: "race", ...threads }));
  const { cost, selected } = raced.value;
  say(`race: ${cost.passes.toFixed(2)} passes, ${inWords(raced)}, selected ${selected?.candidate.id ?? "none"}`);

  const plainSamples =
    values["plain-samples"] === "all" ? set.samples : set.samples.slice(0, Number(values["plain-samples"]));
  const scale = tokensOf(set.samples) / tokensOf(plainSamples);
  const plain = await timed(() => scoreAll(adapter, plainSamples, candidates, { seed, plain: true, ...threads }));
  const [plainSeconds, plainCpuSeconds] = [plain.seconds * scale, plain.cpuSeconds * scale];
  const scaled =
    scale === 1 ? "" : `, scaled by tokens from ${plainSamples.length} samples (${plain.seconds.toFixed(1)} s)`;
  say(`${candidates.length} plain runs: ${inWords({ seconds: plainSeconds, cpuSeconds: plainCpuSeconds })}${scaled}`);
  const perSample =
    scale === 1 ? plain.value : await scoreAll(adapter, set.samples, candidates, { seed, plain: false, ...threads });
  await model.dispose();
  const table = {
    candidates,
    perSample,
    tokens: Int32Array.from(set.samples, ({ scored }) => scored.reduce((sum, mark) => sum + mark, 0)),
    groups: set.samples.map(({ group }) => group),
  };
  const exhaustive = conclude(table, { coveredLayers: adapter.file.layers, margin, seed });
  const speedup = plainSeconds / raced.seconds;
  const cpuSpeedup = plainCpuSeconds / raced.cpuSeconds;
  const ids = [selected, exhaustive.selected].map((one) => one?.candidate.id ?? candidates.at(-1).id);
  const sameChoice =
    ids[0] === ids[1] || withinOneError(...ids.map((id) => perSample[candidates.findIndex((it) => it.id === id)]));
  say(
    `speedup ${speedup.toFixed(2)} by the clock, ${cpuSpeedup.toFixed(2)} by processor time (must be at least 8); exhaustive choice ${exhaustive.selected?.candidate.id ?? "none"}: same or within one standard error: ${sameChoice ? "yes" : "NO"}`,
  );
  return {
    speedup,
    cpuSpeedup,
    sameChoice,
    selected: selected?.candidate.id ?? null,
    exhaustiveSelected: exhaustive.selected?.candidate.id ?? null,
    passes: cost.passes,
    plainPasses: candidates.length,
    raceSeconds: raced.seconds,
    raceCpuSeconds: raced.cpuSeconds,
    plainSeconds,
    plainCpuSeconds,
    plainSamples: plainSamples.length,
    samples: set.samples.length,
  };
}

async function scoreAll(adapter, samples, candidates, { plain, ...options }) {
  const session = adapter.openSession(samples, options);
  try {
    return await session.score(candidates, { plain });
  } finally {
    await session.dispose();
  }
}

function inWords({ seconds, cpuSeconds }) {
  return `${seconds.toFixed(1)} s (processor ${cpuSeconds.toFixed(1)} s)`;
}

function tokensOf(samples) {
  return samples.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

/** Whether the paired means of two candidates differ by less than one standard error. */
function withinOneError(first, second) {
  const differences = first.map((score, sample) => score - second[sample]);
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.abs(mean) < Math.sqrt(squares / (differences.length - 1) / differences.length);
}
