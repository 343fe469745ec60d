import { parseArgs } from "node:util";
import { boundaryCandidates, calibrate, loadModel, readSamples } from "../dist/index.js";
import { conclude } from "../dist/search/conclude.js";
import { timed } from "./support/timing.mjs";
import { TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * A race over all boundaries against plain runs of every boundary, on the same samples in the same packing, one after the
 * other. Options: --model, --adapter, --samples (default: SmolLM2-135M in ../shared, else the demo), --limit N samples,
 * --margin X (default 0.02), --seed N, --threads N.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string" },
      margin: { type: "string", default: "0.02" },
      seed: { type: "string", default: "0" },
      threads: { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const [margin, seed] = [Number(values.margin), Number(values.seed)];
  const threads = values.threads === undefined ? {} : { threads: Number(values.threads) };
  const model = await loadModel(values.model);
  const adapter = await model.loadAdapter(values.adapter);
  const set = await readSamples(values.samples, model, { ...(values.limit && { limit: Number(values.limit) }) });
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  say(`${model.layers} layers, ${candidates.length} boundaries, ${set.samples.length} samples`);

  const raced = await timed(() => calibrate(adapter, set, { margin, seed, strategy: "race", ...threads }));
  const { cost, selected } = raced.value;
  say(
    `race: ${cost.passes.toFixed(2)} passes, ${raced.seconds.toFixed(1)} s, selected ${selected?.candidate.id ?? "none"}`,
  );

  await using session = adapter.openSession(set.samples, { seed, ...threads });
  const plain = await timed(() => session.score(candidates, { plain: true }));
  await model.dispose();
  const table = {
    candidates,
    perSample: plain.value,
    tokens: Int32Array.from(set.samples, ({ scored }) => scored.reduce((sum, mark) => sum + mark, 0)),
    groups: set.samples.map(({ group }) => group),
  };
  const exhaustive = conclude(table, { coveredLayers: adapter.file.layers, margin, seed });
  const speedup = plain.seconds / raced.seconds;
  const ids = [selected, exhaustive.selected].map((one) => one?.candidate.id ?? candidates.at(-1).id);
  const sameChoice =
    ids[0] === ids[1] || withinOneError(...ids.map((id) => plain.value[candidates.findIndex((it) => it.id === id)]));
  say(
    `${candidates.length} plain runs: ${plain.seconds.toFixed(1)} s, selected ${exhaustive.selected?.candidate.id ?? "none"}`,
  );
  say(
    `speedup ${speedup.toFixed(2)} (must be at least 8), same choice or within one standard error: ${sameChoice ? "yes" : "NO"}`,
  );
  return {
    speedup,
    sameChoice,
    selected: selected?.candidate.id ?? null,
    exhaustiveSelected: exhaustive.selected?.candidate.id ?? null,
    passes: cost.passes,
    plainPasses: candidates.length,
    raceSeconds: raced.seconds,
    plainSeconds: plain.seconds,
    samples: set.samples.length,
  };
}

/** Whether the paired means of two candidates differ by less than one standard error. */
function withinOneError(first, second) {
  const differences = first.map((score, sample) => score - second[sample]);
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.abs(mean) < Math.sqrt(squares / (differences.length - 1) / differences.length);
}
