import { parentPort, workerData } from "node:worker_threads";
import { seededRandom } from "../../dist/search/resample.js";
import { crossFitGain } from "../../dist/search/crossfit.js";
import { search } from "../../dist/search/search.js";
import { recordedBoundaries } from "./recorded-scores.mjs";
import { mean, noiseOf, SHAPES, shapedLoss, world } from "./worlds.mjs";

/** One share of the repetitions of `bench statistics`; every repetition has a seed of its own. */
const { jobs, draws } = workerData;
/** A choice turns on the third digit of the critical value, which takes all draws; a rate of errors does not. */
const FEW_DRAWS = 999;
const recorded = recordedBoundaries();
const MARGIN = 0.02;
/** Just beyond the margin. */
const BEYOND = MARGIN * 1.0001;
const pick = (random, values) => values[random.nextBelow(values.length)];

for (const { kind, shape, seed } of jobs) parentPort.postMessage(await RUNNERS()[kind](seed, shape));

function RUNNERS() {
  return { choice, noEffect, subsetNoEffect, beyondMargin, coverage };
}

/** Race and exhaustive on the same world. */
async function choice(seed, shape) {
  const random = seededRandom(seed, 21);
  const layers = pick(random, [24, 32, 48, 80]);
  const samples = pick(random, [50, 100, 150, 200, 400]);
  const setting = { layers, samples, seed, loss: shapedLoss(SHAPES[shape]), noise: noiseOf(SHAPES[shape], layers) };
  const [racing, plain] = [world(recorded, setting), world(recorded, setting)];
  const options = { seed, ...(draws && { draws }) };
  const raced = await search(racing.scorer, { ...options, strategy: "race" });
  const exhaustive = await search(plain.scorer, { ...options, strategy: "exhaustive" });
  const [a, b] = [raced, exhaustive].map(({ selected }) => selected?.candidate.id ?? null);
  return {
    kind: "choice",
    shape,
    samples,
    layers,
    cost: racing.spent.passes / (layers + 1),
    identical: a === b,
    same: a === b || withinOneError(exhaustive, a, b),
  };
}

/** Both chosen cuts are scored by the exhaustive search; the paired means differ by less than one standard error. */
function withinOneError({ candidates }, first, second) {
  const scores = (id) => candidates.find((candidate) => candidate.id === (id ?? candidates.at(-1).id))?.perSample;
  const [a, b] = [scores(first), scores(second)];
  if (a === undefined || b === undefined) return false;
  const differences = a.map((score, sample) => score - b[sample]);
  const middle = mean(differences);
  const variance = mean(differences.map((value) => (value - middle) ** 2));
  return Math.abs(middle) < Math.sqrt(variance / differences.length);
}

async function noEffect(seed, strategy) {
  const random = seededRandom(seed, 22);
  const layers = pick(random, [24, 48, 80]);
  const samples = pick(random, [50, 100, 200, 400]);
  const { scorer } = world(recorded, { layers, samples, seed, loss: withoutEffect });
  const goal = seed % 2 === 0 ? "economy" : "quality";
  const { candidates } = await search(scorer, { strategy, goal, seed, draws: draws ?? FEW_DRAWS });
  return { kind: "noEffect", shape: strategy, falseBetter: candidates.some(({ verdict }) => verdict === "better") };
}

async function subsetNoEffect(seed) {
  const random = seededRandom(seed, 23);
  const layers = pick(random, [12, 24]);
  const samples = pick(random, [60, 100, 150]);
  const { scorer } = world(recorded, { layers, samples, seed, loss: withoutEffect });
  const { candidates } = await search(scorer, {
    families: ["subset"],
    strategy: "race",
    seed,
    draws: draws ?? FEW_DRAWS,
  });
  return { kind: "subsetNoEffect", falseBetter: candidates.some(({ verdict }) => verdict === "better") };
}

async function beyondMargin(seed, strategy) {
  const random = seededRandom(seed, 24);
  const layers = pick(random, [24, 48, 80]);
  const samples = pick(random, [50, 100, 200, 400]);
  const loss = (scales) =>
    scales.every((scale) => scale === 1) ? 0 : scales.every((scale) => scale === 0) ? 1 : BEYOND;
  const { scorer } = world(recorded, { layers, samples, seed, loss });
  const { candidates } = await search(scorer, { strategy, seed, draws: draws ?? FEW_DRAWS });
  const isCut = ({ id }) => id !== `upto:${layers}` && id !== "upto:0";
  return {
    kind: "beyondMargin",
    shape: strategy,
    falseNotWorse: candidates.filter(isCut).some(({ verdict }) => verdict === "not-worse" || verdict === "better"),
  };
}

/** The interval of the cross-fitted gain against the true gain of what the folds chose. */
async function coverage(seed, shape) {
  const random = seededRandom(seed, 25);
  const layers = pick(random, [24, 48]);
  const samples = pick(random, [100, 200, 400]);
  const { scorer, trueGain } = world(recorded, {
    layers,
    samples,
    seed,
    loss: shapedLoss(SHAPES[shape]),
    noise: noiseOf(SHAPES[shape], layers),
  });
  const { judgement, selected } = await search(scorer, { strategy: "exhaustive", seed, draws: draws ?? FEW_DRAWS });
  if (selected === null) return { kind: "coverage", shape, covered: null };
  const { gain, chosen } = crossFitGain(judgement.table, { ...judgement.options, goal: "economy" });
  const byId = new Map(judgement.table.candidates.map((candidate) => [candidate.id, candidate]));
  const truth = mean(chosen.map((id) => (id === null ? 0 : trueGain(byId.get(id)))));
  return { kind: "coverage", shape, covered: gain.low <= truth && truth <= gain.high };
}

function withoutEffect(scales) {
  return scales.every((scale) => scale === 0) ? 1 : 0;
}
