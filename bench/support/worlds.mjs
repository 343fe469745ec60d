import { planRuns } from "../../dist/engine/scale-trie.js";
import { seededRandom } from "../../dist/search/resample.js";

/** Samples of one batch: what 512 tokens hold of the recorded samples. */
const BATCH = 7;
/** Upper layers whose recorded effects serve as noise. */
const DONORS = 10;

/**
 * A world with a known truth and real noise: samples are drawn from the recorded ones, and what each layer adds to a sample's
 * score is the recorded difference of neighbouring boundaries without its mean, so that on average nothing is lost but what
 * `loss` says.
 *
 * @param recorded boundaries, see recordedBoundaries
 * @param loss (strength of each layer) -> share of the adapter's gain that is lost
 * @param noise (layer) -> times the recorded noise, default 1
 * @returns a SearchScorer, and `trueGain(candidate)` in nats against the full adapter
 */
export function world(recorded, { layers, samples, seed, loss, noise = () => 1 }) {
  const random = seededRandom(seed, 11);
  const drawn = Int32Array.from({ length: samples }, () => random.nextBelow(recorded[0].length));
  const top = recorded.length - 1;
  const [base, full] = [recorded[0], recorded[top]];
  const gains = base.map((score, sample) => score - full[sample]);
  const gain = mean(gains);
  // Noise of layers that matter little: recorded effects of the ten upper layers, shared out where this world has more.
  const effects = Array.from({ length: layers }, (_, layer) => {
    const donor = top - 1 - random.nextBelow(DONORS);
    const [from, to] = [recorded[donor], recorded[donor + 1]];
    const difference = from.map((score, sample) => score - to[sample]);
    const middle = mean(difference);
    const scale = Math.min(1, top / layers) * noise(layer);
    return difference.map((value) => (value - middle) * scale);
  });
  const batches = [];
  for (let sample = 0; sample < samples; sample++) {
    if (sample % BATCH === 0) batches.push([]);
    batches.at(-1).push(sample);
  }
  const all = (candidate, strength) => candidate.layerScales.every((scale) => scale === strength);
  const column = (candidate, wanted) => {
    const lost = loss(candidate.layerScales);
    const scores = new Float64Array(samples).fill(NaN);
    for (const sample of wanted) {
      const index = drawn[sample];
      if (all(candidate, 0)) {
        scores[sample] = base[index];
        continue;
      }
      let score = full[index] + lost * gains[index];
      for (const [layer, scale] of candidate.layerScales.entries()) {
        if (scale !== 1) score += (1 - scale) * effects[layer][index];
      }
      scores[sample] = score;
    }
    return scores;
  };
  const spent = { passes: 0 };
  const cost = (candidates, chosen = batches.map((_, batch) => batch)) => {
    const vectors = new Map(candidates.map(({ layerScales }) => [layerScales.join(), [1, ...layerScales, 1]]));
    const share = chosen.reduce((sum, batch) => sum + batches[batch].length, 0) / samples;
    const plan = planRuns([...vectors.values()].map((vector) => Float32Array.from(vector)));
    return (plan.layersComputed / layers) * share;
  };
  return {
    scorer: {
      layers,
      coveredLayers: Array.from({ length: layers }, (_, layer) => layer),
      groups: Array.from(drawn, (_, sample) => `s${sample}`),
      tokens: new Int32Array(samples).fill(30),
      batches,
      cost,
      score(candidates, { batches: chosen = batches.map((_, batch) => batch) }) {
        spent.passes += cost(candidates, chosen);
        const wanted = chosen.flatMap((batch) => batches[batch]);
        return Promise.resolve(candidates.map((candidate) => column(candidate, wanted)));
      },
    },
    spent,
    trueGain: ({ layerScales }) => -loss(layerScales) * gain,
  };
}

/**
 * Losses by the depth b / L of `upto:b`, as shares of the gain; 1 at b = 0 and 0 at b = L. Flat: nothing is lost down to 0.3 L.
 * Monotone: every layer earns something, as on the real adapter. One peak: best at 0.7 L, better than the full adapter.
 * Two peaks: the lower one smaller, a loss between them.
 */
export const SHAPES = {
  flat: through([0, 1], [0.3, 0], [1, 0]),
  monotone: (depth) => (depth === 0 ? 1 : (1 - depth) ** 1.5 * 0.7),
  "one peak": through([0, 1], [0.7, -0.04], [1, 0]),
  "two peaks": through([0, 1], [0.4, -0.03], [0.6, 0.08], [0.8, -0.05], [1, 0]),
};

/** Straight lines through points of ascending depth. */
function through(...points) {
  return (depth) => {
    const next = Math.max(
      1,
      points.findIndex(([at]) => depth <= at),
    );
    const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
    return y0 + ((y1 - y0) * (depth - x0)) / (x1 - x0);
  };
}

/**
 * Noise that goes with what a layer loses, as on the real adapter, where the spread of a cut's differences is about one and a half
 * times its mean loss; a layer that loses nothing still has a third of the recorded noise.
 */
export function noiseOf(shape, layers) {
  const usual = 0.3 / layers;
  return (layer) => {
    const step = Math.abs(shape(Math.max(1, layer) / layers) - shape(Math.min(1, (layer + 1) / layers)));
    return Math.min(3, Math.max(1 / 3, step / usual));
  };
}

/** What the whole adapter loses at another strength, times the square of the difference: recorded at 0.5 and 0.75. */
const SCALE_LOSS = 0.43;

/** The loss of a boundary cut by one of these shapes; a global scale has its own. */
export function shapedLoss(shape) {
  return (scales) => {
    const [strength] = scales;
    if (strength !== 0 && scales.every((scale) => scale === strength)) return SCALE_LOSS * (1 - strength) ** 2;
    const kept = scales.filter((scale) => scale !== 0).length / scales.length;
    return kept === 1 ? 0 : kept === 0 ? 1 : shape(kept);
  };
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
