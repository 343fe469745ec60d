import { describe, expect, test } from "vitest";
import { giveUpAt } from "../../src/search/give-up.js";
import { nextLook } from "../../src/search/race.js";
import { search, type SearchOptions } from "../../src/search/search.js";
import type { SearchScorer } from "../../src/search/scorer.js";
import type { ScoreTable } from "../../src/search/scores.js";
import { curveTable } from "../support/search-curves.js";
import { e2eTable, haveE2eScores } from "../support/search-scores.js";
import { tableScorer, withControls } from "../support/search-scorer.js";

/** Batches of seven, costs as of a plain trie of boundaries: a candidate costs what lies above its cut. */
function batched(table: ScoreTable, size = 7) {
  const scorer = tableScorer(table);
  const samples = table.groups.map((_, sample) => sample);
  const batches = Array.from({ length: Math.ceil(samples.length / size) }, (_, batch) =>
    samples.slice(batch * size, (batch + 1) * size),
  );
  let passes = 0;
  const counted: SearchScorer = {
    ...scorer,
    batches,
    cost: (candidates, chosen = batches.map((_, batch) => batch)) => {
      const share = chosen.reduce((sum, batch) => sum + batches[batch]!.length, 0) / samples.length;
      const replays = candidates.map(
        ({ layerScales }) => 1 - layerScales.filter((scale) => scale !== 0).length / layerScales.length,
      );
      return share * (1 + replays.reduce((sum, one) => sum + one, 0));
    },
    score: async (candidates, options) => {
      passes += counted.cost(candidates, options.batches);
      const wanted = new Set((options.batches ?? []).flatMap((batch) => batches[batch] ?? []));
      const scores = await scorer.score(candidates, options);
      return scores.map((column) => column.map((score, sample) => (wanted.has(sample) ? score : NaN)));
    },
  };
  return { scorer: counted, passes: () => passes };
}

describe("looks", () => {
  test("c(n) of DESIGN at its points, linear in 1 / n between them", () => {
    expect([4, 8, 16, 32, 64, 500].map(giveUpAt)).toEqual([5.4, 5.4, 4, 3.4, 3.1, 3.1]);
    // 1 / n halfway between 1 / 8 and 1 / 16.
    expect(giveUpAt(32 / 3)).toBeCloseTo(4.7, 10);
  });

  test("8, 16, 24, 32, 48, 64, 96, 128, ...", () => {
    const looks = [0];
    while (looks.at(-1)! < 128) looks.push(nextLook(looks.at(-1)!));
    expect(looks).toEqual([0, 8, 16, 24, 32, 48, 64, 96, 128]);
    expect(nextLook(14)).toBe(16);
  });
});

describe("race", () => {
  const losses = Array.from({ length: 25 }, (_, b) => (b >= 20 ? 0 : b === 0 ? 1 : Math.min(1, 0.05 * (20 - b))));
  const run = (options: SearchOptions, seed = 1) => {
    const { scorer, passes } = batched(withControls(curveTable({ losses, samples: 140, seed, step: 0.005 }), 0.1));
    return search(scorer, options).then((outcome) => ({ outcome, passes: passes() }));
  };

  test("the choice of the exhaustive search for a fraction of its passes; what left is marked and unclaimed", async () => {
    for (const seed of [1, 2, 3, 4]) {
      const raced = await run({ strategy: "race" }, seed);
      const plain = await run({ strategy: "exhaustive" }, seed);
      expect(raced.outcome.selected?.candidate.id).toBe("upto:20");
      expect(plain.outcome.selected?.candidate.id).toBe("upto:20");
      expect(raced.passes).toBeLessThan(0.4 * plain.passes);
      const dropped = raced.outcome.candidates.filter(({ droppedAfter }) => droppedAfter !== null);
      expect(dropped.length).toBeGreaterThan(10);
      for (const { verdict, samples, droppedAfter, perSample } of dropped) {
        expect(verdict).toBe("unproven");
        expect(droppedAfter).toBe(samples);
        expect(perSample.filter((score) => score !== null)).toHaveLength(samples);
      }
      expect(raced.outcome.candidates.map(({ id }) => id)).toEqual(plain.outcome.candidates.map(({ id }) => id));
    }
  });

  test("larger cuts wait for a smaller one that looks sure, and come back where it fails", async () => {
    // Ten layers can go by the first 20 samples; on the others everything but the uppermost layer is needed.
    const [early, late] = [14, 23].map((last) =>
      curveTable({
        losses: Array.from({ length: 25 }, (_, b) => (b >= last ? 0 : b === 0 ? 1 : 0.3)),
        samples: 140,
        seed: 3,
        step: 0.001,
      }),
    );
    const table = {
      ...early!,
      perSample: early!.perSample.map((scores, index) =>
        scores.map((score, sample) => (sample < 20 ? score : late!.perSample[index]![sample]!)),
      ),
    };
    const { scorer } = batched(table);
    const calls: (readonly string[])[] = [];
    const watched: SearchScorer = {
      ...scorer,
      score: (candidates, options) => {
        calls.push(candidates.map(({ id }) => id));
        return scorer.score(candidates, options);
      },
    };
    const { selected, candidates } = await search(watched, { strategy: "race" });
    expect(selected?.candidate.id).toBe("upto:23");
    expect(candidates.find(({ id }) => id === "upto:23")!.samples).toBe(140);
    expect(calls[10]).not.toContain("upto:23");
    expect(calls.at(-1)).toContain("upto:23");
  });

  test("what left because it could not be proven is not said to lose", async () => {
    const losses = Array.from({ length: 25 }, (_, b) => (b === 24 ? 0 : b === 0 ? 1 : 0.021));
    const { scorer } = batched(curveTable({ losses, samples: 140, seed: 5, step: 0.03 }));
    const { selected, noSelection, candidates } = await search(scorer, { strategy: "race" });
    expect(candidates.some(({ droppedAfter }) => droppedAfter !== null)).toBe(true);
    expect(selected).toBeNull();
    expect(noSelection?.kind).toBe("unproven");
  });

  test("default from 16 layers; the same seed gives the same outcome", async () => {
    const [first, second] = [await run({ seed: 5 }), await run({ seed: 5 })];
    expect(first.outcome.strategy).toBe("race");
    expect(first.outcome.candidates).toEqual(second.outcome.candidates);
  });

  test("a budget that is over after three batches: judged on the samples that all claimed candidates share", async () => {
    let asked = 0;
    const { outcome } = await run({ strategy: "exhaustive", isSpent: () => ++asked > 2 });
    expect(outcome.stoppedIn).toBe("boundary");
    expect(outcome.samples).toHaveLength(21);
    expect(outcome.candidates.every(({ samples }) => samples === 21)).toBe(true);
  });

  test.skipIf(!haveE2eScores)(
    "on the recorded real adapter: the exhaustive choice for less than a seventh of 31 passes",
    async () => {
      const { scorer, passes } = batched(e2eTable());
      const outcome = await search(scorer, {});
      expect(outcome.selected?.candidate.id).toBe("upto:29");
      expect(passes() / 31).toBeLessThan(1 / 7);
    },
  );
});
