import { describe, expect, test } from "vitest";
import type { Candidate } from "../../src/lora/candidate.js";
import { boostsToTry, fittedBoost, LARGEST_BOOST } from "../../src/search/boost.js";
import { candidateName } from "../../src/search/candidate-name.js";
import { planRuns } from "../../src/engine/scale-trie.js";
import { eliminate, stateAt } from "../../src/search/elimination.js";
import { boundaryCandidates, knockoutCandidates, prefixCandidates, windowsAround } from "../../src/search/families.js";
import { foldsOfSamples, HELD_OUT } from "../../src/search/folds.js";
import { scalesWithout, spreadScales } from "../../src/search/layer-scales.js";
import { search } from "../../src/search/search.js";
import type { SearchScorer, Unit } from "../../src/search/scorer.js";
import { alternatingFolds, subsetPasses } from "../../src/search/subset.js";
import { subsetSection } from "../../src/search/subset-section.js";
import { seededRandom } from "../../src/search/resample.js";
import { normalNoise } from "../support/search-curves.js";

const layer = (at: number) => ({ layer: at, part: null });

describe("names", () => {
  test.each([
    [[1, 1, 0, 0], "upto:2"],
    [[0, 1, 1, 1], "from:1"],
    [[0, 1, 1, 0], "window:1-2"],
    [[1, 0, 1, 1], "without:1"],
    [[1.3, 0, 1.3, 0], "without:1,3*1.3"],
    [[0.5, 0.5, 0.5, 0.5], "scale:0.5"],
    [[0, 0, 0, 0], "upto:0"],
    [[1, 1, 1, 1], "upto:4"],
  ])("%j is %s", (layerScales, name) => {
    expect(candidateName({ layerScales })).toBe(name);
  });

  test("halves of layers", () => {
    const out = [
      { layer: 2, part: "attention" },
      { layer: 3, part: "ffn" },
    ] as const;
    expect(candidateName(scalesWithout(5, out, 1.2))).toBe("without:attention:2,ffn:3*1.2");
  });
});

describe("families", () => {
  test("prefix, knock-out, windows: distinct, all inside the model", () => {
    expect(prefixCandidates(4, [0, 1, 3]).map(({ id }) => id)).toEqual(["from:1", "from:3"]);
    expect(knockoutCandidates(3, [0, 1, 2]).map(({ id }) => id)).toEqual(["from:1", "without:1", "upto:2"]);
    const windows = windowsAround(30, 5, 28);
    expect(new Set(windows.map(({ id }) => id)).size).toBe(windows.length);
    expect(windows.map(({ id }) => id)).toContain("window:5-27");
  });
});

describe("boost", () => {
  test("finds the vertex of a parabola in the logarithm", () => {
    for (const best of [1.1, 1.3, 1.45]) {
      const boosts = boostsToTry(1.15);
      const means = boosts.map((boost) => (Math.log(boost) - Math.log(best)) ** 2);
      expect(fittedBoost(boosts, [means[0]!, means[1]!, means[2]!])).toBeCloseTo(best, 1);
    }
  });

  test("never further than half a step from what was tried", () => {
    for (const boost of [3.5, LARGEST_BOOST]) {
      const [low, middle, high] = boostsToTry(boost);
      expect(low).toBeLessThan(middle);
      expect(middle).toBeLessThan(high);
      expect(high).toBeLessThanOrEqual(LARGEST_BOOST);
      expect(fittedBoost([low, middle, high], [3, 2, 1])).toBe(LARGEST_BOOST);
    }
    const boosts = boostsToTry(1);
    expect(fittedBoost(boosts, [3, 2, 1])).toBeLessThan(boosts[2] * 1.07);
    expect(fittedBoost(boosts, [1, 2, 3])).toBeGreaterThan(0.93);
  });
});

describe("a boost that is spread", () => {
  const units = Array.from({ length: 8 }, (_, at) => layer(at));
  const spread = (out: readonly number[], boost: number) =>
    spreadScales(8, { units, out: out.map(layer), boost }).layerScales;

  test("what lies beside a gap carries more; the mean is the boost, what is far off carries half of it", () => {
    expect(spread([2, 3], 2)).toEqual([1.5, 3, 0, 0, 3, 1.5, 1.5, 1.5]);
    // Nothing lies below layer 0: its only heir has all of it.
    expect(spread([0], 2)).toEqual([0, 5 - 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]);
  });

  test("nothing is spread where nothing is out or nothing is added", () => {
    expect(spread([], 1.3)).toEqual(new Array(8).fill(1.3));
    expect(spread([1, 5], 1)).toEqual([1, 0, 1, 1, 1, 0, 1, 1]);
    expect(spread([1, 5], 0.9)).toEqual([0.9, 0, 0.9, 0.9, 0.9, 0, 0.9, 0.9]);
  });

  test("half a layer hands on to the halves beside it", () => {
    const halves = [0, 1].flatMap((at): Unit[] => [
      { layer: at, part: "attention" },
      { layer: at, part: "ffn" },
    ]);
    expect(spreadScales(2, { units: halves, out: [{ layer: 0, part: "ffn" }], boost: 1.4 })).toEqual({
      layerScales: [1.5, 1.5],
      feedForwardScales: [0, 1.2],
    });
  });
});

describe("states between rounds", () => {
  test("the cheapest of a round first, the boost in proportion", () => {
    const rounds = [
      { removed: [layer(4), layer(1)], boost: 1.21 },
      { removed: [layer(7), layer(9)], boost: 1.4641 },
    ];
    expect(stateAt(rounds, 1)).toEqual({ out: [layer(4)], boost: 1.1 });
    expect(stateAt(rounds, 2)).toEqual({ out: [layer(4), layer(1)], boost: 1.21 });
    expect(stateAt(rounds, 3).out).toEqual([layer(4), layer(1), layer(7)]);
    expect(stateAt(rounds, 0)).toEqual({ out: [], boost: 1 });
  });
});

describe("elimination", () => {
  test("a round narrows after every batch, fits on its last ones, and the next goes on from there", async () => {
    const asked: [number, readonly number[]][] = [];
    const rounds = await eliminate({
      ...{ units: Array.from({ length: 12 }, (_, at) => layer(at)), layers: 12, batches: [0, 1, 2, 3, 4, 5] },
      ...{ samplesOf: () => 8, firstLook: 16, wholeRound: 32, fitted: 20, step: 2 },
      means: (candidates, batches) => {
        asked.push([candidates.length, batches]);
        // The higher the layer that is left, the better: the lowest go first, no two neighbours.
        const means = candidates.map(({ layerScales }) => -layerScales.reduce((sum, it, at) => sum + it * at, 0));
        return Promise.resolve(means.map((mean) => ({ mean, samples: 8 * batches.length })));
      },
    });
    expect(rounds[0]?.removed).toEqual([layer(0), layer(2)]);
    expect(asked.slice(0, 4)).toEqual([
      [12, [0, 1]],
      [5, [2]],
      [4, [3]],
      [3, [1, 2, 3]],
    ]);
    expect(asked.slice(4, 8)).toEqual([
      [6, [4, 5]],
      [5, [0]],
      [4, [1]],
      [3, [5, 0, 1]],
    ]);
  });

  test.each([
    ["layers", 1],
    ["halves of layers", 2],
  ] as const)("of 30 layers, 150 samples, %s: at most six exhaustive boundary searches", async (_, parts) => {
    const layers = 30;
    const covered = Array.from({ length: layers }, (__, at) => at);
    const batches = Array.from({ length: 19 }, (__, batch) =>
      Array.from({ length: 8 }, (___, at) => 8 * batch + at).filter((sample) => sample < 150),
    );
    const units = covered.flatMap((at): Unit[] =>
      parts === 1 ? [layer(at)] : (["attention", "ffn"] as const).map((part) => ({ layer: at, part })),
    );
    const cost = (candidates: readonly Candidate[], chosen = batches.map((__, batch) => batch)) => {
      const vectors = candidates.map(({ layerScales, feedForwardScales = layerScales }) =>
        Float32Array.from([
          ...[0],
          ...layerScales.flatMap((scale, at) => (parts === 1 ? [scale] : [scale, feedForwardScales[at] ?? scale])),
          ...[0],
        ]),
      );
      const samples = chosen.reduce((sum, batch) => sum + (batches[batch]?.length ?? 0), 0);
      return (planRuns(vectors, { partsPerLayer: parts }).layersComputed / layers) * (samples / 150);
    };
    const scorer: SearchScorer = {
      ...{ layers, coveredLayers: covered, units, batches, cost },
      ...{ groups: Array.from({ length: 150 }, String), tokens: new Int32Array(150).fill(20) },
      score: () => Promise.reject(new Error("nothing is scored")),
    };
    const passes = await subsetPasses(scorer, alternatingFolds(batches.length));
    const references = 2;
    const ratio = (passes + references) / cost(boundaryCandidates(layers, covered));
    expect(ratio).toBeLessThan(6);
    expect(ratio).toBeGreaterThan(2);
  });
});

describe("folds", () => {
  test("groups stay together; halves are equal; a holdout is of the asked size", () => {
    const groups = Array.from({ length: 200 }, (_, sample) => `g${sample >> 1}`);
    const halves = foldsOfSamples(groups, 1);
    for (let sample = 0; sample < 200; sample += 2) expect(halves[sample]).toBe(halves[sample + 1]);
    expect(halves.filter((fold) => fold === 0)).toHaveLength(100);
    expect(foldsOfSamples(groups, 1, 0.3).filter((fold) => fold === HELD_OUT)).toHaveLength(60);
  });
});

/**
 * Twelve layers of which some matter: what is left counts by its weight times the strength, diminishing, so that a boost wins
 * back most of what useless layers gave.
 */
function redundantWorld(seed: number, samples = 84): SearchScorer {
  const layers = 12;
  const weights = [5, 0.2, 4, 0.1, 5, 0.3, 4, 0.2, 5, 0.1, 4, 0.2];
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const random = seededRandom(seed, 9);
  const level = Array.from({ length: samples }, () => 2 + 0.2 * normalNoise(random));
  const effect = weights.map(() => Array.from({ length: samples }, () => 0.01 * normalNoise(random)));
  const score = ({ layerScales }: Candidate, sample: number) => {
    const strength = layerScales.reduce((sum, scale, at) => sum + (scale * weights[at]!) / whole, 0);
    const noise = layerScales.reduce((sum, scale, at) => sum + (1 - scale) * effect[at]![sample]!, 0);
    return level[sample]! - (strength - 0.45 * strength * strength) + noise;
  };
  const batches = Array.from({ length: samples / 7 }, (_, batch) =>
    Array.from({ length: 7 }, (__, at) => 7 * batch + at),
  );
  return {
    layers,
    coveredLayers: weights.map((_, at) => at),
    groups: level.map((_, sample) => `s${sample}`),
    tokens: new Int32Array(samples).fill(20),
    batches,
    cost: (candidates, chosen = batches.map((_, at) => at)) => (candidates.length * chosen.length) / batches.length,
    score: (candidates, options) => {
      const wanted = new Set((options.batches ?? batches.map((_, at) => at)).flatMap((batch) => batches[batch]!));
      return Promise.resolve(
        candidates.map((candidate) =>
          Float64Array.from(level, (_, sample) => (wanted.has(sample) ? score(candidate, sample) : NaN)),
        ),
      );
    },
  };
}

describe("subset search", () => {
  test("drops the useless layers first, boosts the rest, judges on the other half; a cut is proven and written whole", async () => {
    const outcome = await search(redundantWorld(1), { families: ["boundary", "subset"], seed: 3 });
    const section = subsetSection(outcome)!;
    expect(section).toMatchObject({ judgedBy: "cross-fit", perModule: false, units: 12 });
    const six = section.points.find(({ unitsOut }) => unitsOut === 6)!;
    expect(six.out.map((unit) => unit.layer).filter((at) => at % 2 === 1).length).toBeGreaterThanOrEqual(5);
    expect(six.boost).toBeGreaterThan(1);
    expect(six.retention!.mean).toBeGreaterThan(0.97);
    expect(outcome.candidates.find(({ id }) => id === six.id)).toMatchObject({ samples: 84, droppedAfter: null });
    expect(outcome.selected?.candidate.id).toMatch(/^spread:/);
    expect(Math.max(...outcome.selected!.candidate.layerScales)).toBeGreaterThan(1);
  });

  test("with a holdout only samples kept aside judge", async () => {
    const folds = Array.from({ length: 12 }, (_, batch) => (batch % 3 === 2 ? HELD_OUT : 0));
    const outcome = await search(redundantWorld(2), { families: ["subset"], folds });
    expect(outcome.subset?.judgedBy).toBe("holdout");
    for (const { candidate } of outcome.subset!.points) {
      const row = outcome.candidates.find(({ id }) => id === candidate.id)!;
      expect(row.samples).toBe(28);
      expect(row.perSample.every((score, sample) => (score !== null) === (Math.floor(sample / 7) % 3 === 2))).toBe(
        true,
      );
    }
  });

  test("the same seed gives the same subsets", async () => {
    const [a, b] = [
      await search(redundantWorld(4), { families: ["subset"] }),
      await search(redundantWorld(4), { families: ["subset"] }),
    ];
    expect(a.subset).toEqual(b.subset);
  });
});
