import { parseArgs } from "node:util";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { largestDifference } from "./support/scores.mjs";
import { median, timed } from "./support/timing.mjs";
import { openModel, threadsOf, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * Samples that share most of their prompt, exhaustive search with prefix sharing against plain runs of every boundary
 * without it, in turn. The text is real, cut and put together anew: prompts of --prompt N tokens (default 130) of which the
 * first --shared N (default 100) are the same, completions of --completion N tokens (default 4).
 * Options: those of support/trio.mjs, --rounds N (default 1), --threads N.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      prompt: { type: "string", default: "130" },
      shared: { type: "string", default: "100" },
      completion: { type: "string", default: "4" },
      rounds: { type: "string", default: "1" },
      threads: { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const threads = threadsOf(values);
  const [prompt, shared, completion] = [values.prompt, values.shared, values.completion].map(Number);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const { samples: read } = await readSamples(values.samples, model);
  const text = read.flatMap(({ tokens }) => [...tokens]);
  const samples = Array.from({ length: 8 }, (_, index) => {
    const start = shared + index * (prompt - shared + completion);
    const own = text.slice(start, start + prompt - shared + completion);
    return {
      tokens: Int32Array.from([...text.slice(0, shared), ...own]),
      scored: Uint8Array.from({ length: prompt + completion }, (__, place) => (place < prompt ? 0 : 1)),
      group: String(index),
      line: index + 1,
    };
  });
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  const together = adapter.openSession(samples, threads);
  const apart = adapter.openSession(samples, { ...threads, sharePrefixes: false });
  say(
    `${samples.length} samples, ${prompt} prompt tokens each, the first ${shared} the same: ${Math.round(together.computedShare * together.tokens)} of ${together.tokens} tokens are computed`,
  );
  // The weights come from the disk, and the self-check runs, before anything is timed.
  await together.score(candidates.slice(-2));
  await apart.score(candidates.slice(-1), { plain: true });
  const speedups = [];
  let largest = 0;
  for (let round = 0; round < Number(values.rounds); round++) {
    const plain = await timed(() => apart.score(candidates, { plain: true }));
    const tree = await timed(() => together.score(candidates));
    speedups.push(plain.seconds / tree.seconds);
    largest = Math.max(largest, largestDifference(tree.value, plain.value));
    say(`round ${round + 1}: plain ${plain.seconds.toFixed(2)} s, with shared prefixes ${tree.seconds.toFixed(2)} s`);
  }
  await model.dispose();
  const speedup = median(speedups);
  say(`${speedup.toFixed(1)} times faster; largest difference of a score ${largest.toExponential(1)} nats per token`);
  return { speedup, speedups, computedShare: together.computedShare, largestDifference: largest };
}
