import { planRuns } from "../dist/engine/scale-trie.js";
import { conclude } from "../dist/search/conclude.js";
import {
  boostedBoundaries,
  boundaryCandidates,
  knockoutCandidates,
  prefixCandidates,
  scaleCandidates,
  windowCandidate,
} from "../dist/search/families.js";
import { seededRandom } from "../dist/search/resample.js";

const LAYERS = 80;
const SAMPLES = 1000;
const FAMILIES = 8;
const MEBIBYTE = 1024 * 1024;

/**
 * What a search does beside the engine, at its largest: the plan of one trie and all statistics of 80 layers x 8 families x
 * 1,000 samples, with made-up scores. No options.
 */
export async function run({ json }) {
  const say = json ? () => undefined : (line) => console.log(line);
  const layers = Array.from({ length: LAYERS }, (_, layer) => layer);
  const known = [
    ...boundaryCandidates(LAYERS, layers),
    ...prefixCandidates(LAYERS, layers),
    ...knockoutCandidates(LAYERS, layers),
    ...scaleCandidates(LAYERS),
    ...[78, 70, 62, 54].flatMap((cut) => boostedBoundaries(LAYERS, cut)),
  ];
  const random = seededRandom(0, 31);
  // Windows stand for what scores lead to: boosted ones for the subsets, which are as many and as different.
  const byName = new Map(known.map((candidate) => [candidate.id, candidate]));
  while (byName.size < LAYERS * FAMILIES) {
    const first = 1 + random.nextBelow(LAYERS / 2);
    const last = first + 1 + random.nextBelow(LAYERS - first - 2);
    const candidate = windowCandidate(LAYERS, first, last, "window", 1 + random.nextBelow(4) / 4);
    byName.set(candidate.id, candidate);
  }
  const candidates = [...byName.values()];
  const effects = layers.map(() => noise(random));
  const [level, gain] = [noise(random), noise(random)];
  const perSample = candidates.map(({ layerScales }) => {
    const kept = layerScales.reduce((sum, scale) => sum + Math.min(scale, 1), 0) / LAYERS;
    const scores = level.map((value, sample) => 2 + value + (1 - kept) * (1 + 0.3 * gain[sample]));
    for (const [layer, scale] of layerScales.entries()) {
      if (scale !== 1) for (let sample = 0; sample < SAMPLES; sample++) scores[sample] += 0.02 * effects[layer][sample];
    }
    return scores;
  });
  const table = {
    candidates,
    perSample,
    tokens: new Int32Array(SAMPLES).fill(30),
    groups: Array.from({ length: SAMPLES }, (_, sample) => `s${sample}`),
  };

  const before = process.memoryUsage.rss();
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const vectors = candidates.map(({ layerScales, inputScale, outputScale }) =>
    Float32Array.from([inputScale, ...layerScales, outputScale]),
  );
  const plan = planRuns(vectors);
  const { selected } = conclude(table, { coveredLayers: layers });
  const seconds = (performance.now() - start) / 1000;
  const { user } = process.cpuUsage(cpu);
  // The highest mark of the process, so what it took before counts too where that was more.
  const mebibytes = (process.resourceUsage().maxRSS * 1024 - before) / MEBIBYTE;
  say(
    `${candidates.length} candidates x ${SAMPLES} samples: ${(plan.layersComputed / LAYERS).toFixed(1)} passes planned, ${selected?.candidate.id ?? "nothing"} selected`,
  );
  say(
    `${seconds.toFixed(2)} s (processor ${(user / 1e6).toFixed(2)} s; at most 2), ${mebibytes.toFixed(0)} MiB (at most 200)`,
  );
  return { seconds, cpuSeconds: user / 1e6, mebibytes, candidates: candidates.length, samples: SAMPLES };
}

function noise(random) {
  return Float64Array.from({ length: SAMPLES }, () => {
    let sum = 0;
    for (let part = 0; part < 12; part++) sum += random.nextUint32() / 2 ** 32;
    return sum - 6;
  });
}
