import { describe, expect, test } from "vitest";
import { planRuns, type TriePlan } from "../../src/engine/scale-trie.js";
import { seeded } from "../support/engine-samples.js";

/** Strength below layer 0, of the layers, above the last one. */
const vector = (...strengths: number[]) => Float32Array.from(strengths);
const boundary = (layers: number, b: number) =>
  vector(b > 0 ? 1 : 0, ...Array.from({ length: layers }, (_, layer) => (layer < b ? 1 : 0)), b === layers ? 1 : 0);

/** What decides the state below layer k: the strengths of everything under it. */
const prefix = (strengths: Float32Array, k: number) => strengths.slice(0, k + 1).join();

/** Follows a plan as the addon does; every run must find the state that its own strengths would have made. */
function simulate({ runs, mostStates }: TriePlan, vectors: readonly Float32Array[]): void {
  const kept = new Map<number, string>();
  let most = 0;
  for (const { vector: index, resumeAt, keepAt } of runs) {
    const strengths = vectors[index]!;
    if (resumeAt > 0) expect(kept.get(resumeAt)).toBe(prefix(strengths, resumeAt));
    for (const k of kept.keys()) if (k > resumeAt) kept.delete(k);
    for (const k of keepAt) {
      expect(k).toBeGreaterThan(resumeAt);
      expect(k).toBeLessThan(strengths.length - 2);
      kept.set(k, prefix(strengths, k));
    }
    most = Math.max(most, kept.size);
  }
  expect(most).toBe(mostStates);
  expect(runs.map((run) => run.vector).sort((a, b) => a - b)).toEqual(vectors.map((_, index) => index));
}

/** Edges of the trie of layer scales; the last layer is computed for every vector, because something has to run. */
function trieEdges(vectors: readonly Float32Array[]): number {
  const layers = vectors[0]!.length - 2;
  const inner = Array.from(
    { length: layers - 1 },
    (_, layer) => new Set(vectors.map((it) => prefix(it, layer + 1))).size,
  );
  return vectors.length + inner.reduce((sum, edges) => sum + edges, 0);
}

describe("planRuns, by hand", () => {
  test("boundaries of 4 layers: the full adapter is the trunk, each cut a replay above it", () => {
    const vectors = [0, 1, 2, 3, 4].map((b) => boundary(4, b));
    expect(planRuns(vectors)).toEqual({
      runs: [
        { vector: 4, resumeAt: 0, keepAt: [1, 2, 3] },
        { vector: 3, resumeAt: 3, keepAt: [] },
        { vector: 2, resumeAt: 2, keepAt: [] },
        { vector: 1, resumeAt: 1, keepAt: [] },
        { vector: 0, resumeAt: 0, keepAt: [] },
      ],
      layersComputed: 4 + 1 + 2 + 3 + 4,
      mostStates: 3,
    });
  });

  test("L boundaries and the base model cost L / 2 + 1 passes", () => {
    for (const layers of [2, 12, 30]) {
      const vectors = Array.from({ length: layers + 1 }, (_, b) => boundary(layers, b));
      expect(planRuns(vectors).layersComputed / layers).toBe(1 + (layers + 1) / 2);
    }
  });

  test("knock-outs branch off the full adapter", () => {
    const vectors = [vector(1, 0, 1, 1, 1), vector(1, 1, 0, 1, 1), vector(1, 1, 1, 0, 1), vector(1, 1, 1, 1, 1)];
    expect(planRuns(vectors)).toEqual({
      runs: [
        { vector: 3, resumeAt: 0, keepAt: [1, 2] },
        { vector: 2, resumeAt: 2, keepAt: [] },
        { vector: 1, resumeAt: 1, keepAt: [] },
        { vector: 0, resumeAt: 0, keepAt: [] },
      ],
      layersComputed: 3 + 1 + 2 + 3,
      mostStates: 2,
    });
  });

  test("a branch keeps states of its own, and the trunk's above it are gone by then", () => {
    const vectors = [vector(0, 1, 1, 1, 0), vector(0, 1, 1, 0, 0), vector(0, 1, 0, 1, 0), vector(0, 1, 0, 0, 0)];
    expect(planRuns(vectors)).toEqual({
      runs: [
        { vector: 0, resumeAt: 0, keepAt: [1, 2] },
        { vector: 1, resumeAt: 2, keepAt: [] },
        { vector: 2, resumeAt: 1, keepAt: [2] },
        { vector: 3, resumeAt: 2, keepAt: [] },
      ],
      layersComputed: 3 + 1 + 2 + 1,
      mostStates: 2,
    });
  });

  test("higher strengths first, negative ones last", () => {
    const vectors = [-1, 0.5, 0, 2].map((strength) => vector(0, 1, strength, 0));
    expect(planRuns(vectors).runs.map((run) => run.vector)).toEqual([3, 1, 2, 0]);
  });

  test("vectors that differ above the last layer only share all layers but the last", () => {
    expect(planRuns([vector(1, 1, 1, 1, 0), vector(1, 1, 1, 1, 1)]).runs).toEqual([
      { vector: 1, resumeAt: 0, keepAt: [2] },
      { vector: 0, resumeAt: 2, keepAt: [] },
    ]);
  });

  test("vectors that differ below layer 0 share nothing", () => {
    expect(planRuns([vector(1, 1, 1, 1), vector(0, 1, 1, 1)]).layersComputed).toBe(4);
  });

  test("where a border cannot be used, the next usable one below it is", () => {
    const vectors = [0, 1, 2, 3, 4].map((b) => boundary(4, b));
    expect(planRuns(vectors, { usable: [true, false, true, false] }).runs).toEqual([
      { vector: 4, resumeAt: 0, keepAt: [2] },
      { vector: 3, resumeAt: 2, keepAt: [] },
      { vector: 2, resumeAt: 2, keepAt: [] },
      { vector: 1, resumeAt: 0, keepAt: [] },
      { vector: 0, resumeAt: 0, keepAt: [] },
    ]);
  });

  test("no usable border: plain runs, nothing kept", () => {
    const plan = planRuns([boundary(3, 3), boundary(3, 2), boundary(3, 0)], { usable: [true, false, false] });
    expect(plan.runs.every(({ resumeAt, keepAt }) => resumeAt === 0 && keepAt.length === 0)).toBe(true);
    expect(plan).toMatchObject({ layersComputed: 9, mostStates: 0 });
  });

  test("one layer, one vector, no vector", () => {
    expect(planRuns([vector(1, 1, 1), vector(0, 0, 0)])).toMatchObject({ layersComputed: 2, mostStates: 0 });
    expect(planRuns([boundary(5, 5)]).runs).toEqual([{ vector: 0, resumeAt: 0, keepAt: [] }]);
    expect(planRuns([])).toEqual({ runs: [], layersComputed: 0, mostStates: 0 });
  });
});

/** Distinct vectors of few strengths, so that many begin alike. */
function randomVectors(random: () => number): Float32Array[] {
  const layers = 1 + Math.floor(random() * 9);
  const strengths = [1, 0, random() < 0.5 ? 0.5 : -1, 1.25].slice(0, 2 + Math.floor(random() * 3));
  const pick = () => strengths[Math.floor(random() * strengths.length)] ?? 0;
  const made = Array.from({ length: 1 + Math.floor(random() * 25) }, () =>
    Float32Array.from({ length: layers + 2 }, (_, part) => (part === 0 && random() < 0.7 ? 0 : pick())),
  );
  return [...new Map(made.map((it) => [it.join(), it])).values()];
}

describe("planRuns, 500 random sets of vectors", () => {
  test("every run finds the state it needs, and the work is the edges of the trie", () => {
    const random = seeded(2);
    let shared = 0;
    for (let round = 0; round < 500; round++) {
      const vectors = randomVectors(random);
      const plan = planRuns(vectors);
      simulate(plan, vectors);
      expect(plan.layersComputed).toBe(trieEdges(vectors));
      expect(plan.layersComputed).toBe(plan.runs.reduce((sum, run) => sum + vectors[0]!.length - 2 - run.resumeAt, 0));
      shared += plan.runs.filter(({ resumeAt }) => resumeAt > 0).length;
    }
    expect(shared).toBeGreaterThan(1000);
  });

  test("with random usable borders: the states are found, no other border is used, and more is computed", () => {
    const random = seeded(3);
    for (let round = 0; round < 500; round++) {
      const vectors = randomVectors(random);
      const usable = Array.from({ length: vectors[0]!.length - 2 }, () => random() < 0.6);
      const plan = planRuns(vectors, { usable });
      simulate(plan, vectors);
      const used = plan.runs.flatMap(({ resumeAt, keepAt }) => [resumeAt, ...keepAt]).filter((border) => border > 0);
      expect(used.every((border) => usable[border])).toBe(true);
      expect(plan.layersComputed).toBeGreaterThanOrEqual(trieEdges(vectors));
    }
  });
});
