import { parseArgs } from "node:util";
import { boundaryCandidates, lens, readSamples } from "../dist/index.js";
import { effectCandidates } from "../dist/analysis/layer-effects.js";
import { largestDifference } from "./support/scores.mjs";
import { median, timed } from "./support/timing.mjs";
import { computesExactly, openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * The lens against an exhaustive boundary search on the same samples, in turn: what it costs beside it (at most half), and
 * whether its last layer is the scorer's own answer.
 * Options: those of support/trio.mjs, --limit N samples (default 12), --rounds N (default 3), --threads N (default 1:
 * threads that wait for each other do so busily).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string", default: "12" },
      rounds: { type: "string", default: "3" },
      threads: { type: "string", default: "1" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const options = { threads: Number(values.threads) };
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const { samples } = await readSamples(values.samples, model, { limit: Number(values.limit) });
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  const session = adapter.openSession(samples, options);
  // The first run reads the weights from the disk.
  await session.score(candidates.slice(-1));

  // On a GPU the processor waits.
  const spent = ({ seconds, cpuSeconds }) => (computesExactly(model) ? cpuSeconds : seconds);
  const ratios = [];
  let read = null;
  for (let round = 0; round < Number(values.rounds); round++) {
    const search = await timed(() => session.score(candidates));
    const look = await timed(() => lens(adapter, samples, options));
    read = look.value;
    ratios.push(spent(look) / spent(search));
    say(`round ${round + 1}: lens ${spent(look).toFixed(2)} s, search ${spent(search).toFixed(2)} s`);
  }
  if (read === null) throw new Error("This architecture has no lens; give another model.");

  const [full] = effectCandidates(model.layers, []);
  const [scores] = await session.score([full]);
  const own = (await session.lens(full)).nll.at(-1);
  const difference = largestDifference([scores], [own]);
  const passes = 2;
  const searchPasses = session.cost(candidates).passes;
  const figures = {
    costRatio: median(ratios),
    passRatio: passes / searchPasses,
    lastLayerEqual: difference === 0,
    lastLayerDifference: difference,
    layersRead: read.full.length,
    layers: model.layers,
    samples: samples.length,
    lensSamples: read.samples,
  };
  await model.dispose();
  say(
    `lens / search: ${figures.costRatio.toFixed(2)} of the time (median of ${ratios.length}, at most 0.5), ${figures.passRatio.toFixed(2)} of the passes, output heads not counted; ${figures.layersRead} of ${figures.layers} layers and ${figures.lensSamples} of ${figures.samples} samples read`,
  );
  say(
    `last layer is the scorer's own answer ${difference === 0 ? "bit for bit" : `but for ${difference.toExponential(1)} nats per token`}`,
  );
  return figures;
}
