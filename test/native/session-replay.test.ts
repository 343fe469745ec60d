import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import {
  allBoundaries,
  candidate,
  differing,
  otherShapes,
  randomSamples,
  scoredBothWays,
} from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";

const FULL = candidate("full", new Array<number>(12).fill(1));
const SESSION = { threads: 1, batchTokens: 256 };

describe("a resumed run gives the bits of a plain run, on every sample", () => {
  test("every boundary", async () => {
    await using it = await loadTrio(5);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const candidates = allBoundaries(12);
    expect(session.batches.length).toBeGreaterThan(1);
    const { resumed, plain, passes } = await scoredBothWays(session, candidates);
    expect(differing(candidates, resumed, plain)).toEqual([]);
    expect(session.facts).toMatchObject({ replay: "exact", notices: [], naivePasses: 26 });
    // Half of 13 passes and the trunk (the base model shares layer 0 with no one), and the self-check of the first batch.
    const expected = ((12 + (1 + 12) * 6) / 12) * session.computedShare;
    expect(session.cost(candidates).passes).toBeCloseTo(expected, 9);
    expect(passes).toBeCloseTo(expected + session.cost(candidates).checkPasses, 9);
    expect(new Set(resumed.map((scores) => scores[0])).size).toBe(13);
  });

  test("knock-outs, windows, global scales, random fractional and negative vectors, the outer scales as well", async () => {
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const candidates = otherShapes(12, 1);
    const { resumed, plain } = await scoredBothWays(session, candidates);
    expect(differing(candidates, resumed, plain)).toEqual([]);
    expect(candidates.filter(({ layerScales }) => layerScales.some((scale) => scale < 0)).length).toBeGreaterThan(5);
    expect(new Set(resumed.map((scores) => scores[0])).size).toBeGreaterThan(35);
    expect(session.facts.replay).toBe("exact");
  });

  test("samples of random tokens, 2 to 90 of them, in several packings", async () => {
    await using it = await loadTrio(1);
    const samples = randomSamples([2, 90, 3, 41, 17, 64, 5], 1024, 5);
    for (const batchTokens of [2, 100, 4096]) {
      await using session = it.adapter.openSession(samples, { threads: 1, batchTokens });
      const candidates = allBoundaries(12).filter((_, b) => b % 3 === 0);
      const { resumed, plain } = await scoredBothWays(session, candidates);
      expect(differing(candidates, resumed, plain)).toEqual([]);
    }
  });
});

describe("what candidates mean", () => {
  test("the order of candidates and their company change no bit", async () => {
    await using it = await loadTrio(3);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const candidates = [...allBoundaries(12), ...otherShapes(12, 3).slice(0, 8)];
    const together = await session.score(candidates);
    const reversed = [...candidates].reverse();
    expect(differing(reversed, await session.score(reversed), [...together].reverse())).toEqual([]);
    const alone = await session.score(candidates.slice(7, 8));
    expect(differing(candidates.slice(7, 8), alone, together.slice(7, 8))).toEqual([]);
  });

  test("equal candidates are computed once, and -0 is 0", async () => {
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const base = allBoundaries(12)[0]!;
    const negativeZero = candidate("minus", new Array<number>(12).fill(-0), [0, 0]);
    const scores = await session.score([base, negativeZero, FULL, FULL]);
    expect(session.facts.passes).toBeCloseTo(2 * session.computedShare, 9);
    expect(session.facts.naivePasses).toBe(4);
    expect(scores[1]).toEqual(scores[0]);
    expect(scores[3]).toEqual(scores[2]);
  });

  test("the full adapter through layers is llama.cpp's own LoRA: no logit differs", async () => {
    await using it = await loadTrio(4);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    expect(await session.compareWithFile(FULL, DEMO.adapter)).toBe(0);
    const upto11 = allBoundaries(12)[11]!;
    expect(await session.compareWithFile(upto11, DEMO.adapter)).toBeGreaterThan(0.1);
  });

  test("a comparison between two searches leaves the second as it would have been", async () => {
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const candidates = allBoundaries(12).slice(8);
    const before = await session.score(candidates);
    await session.compareWithFile(FULL, DEMO.adapter);
    expect(differing(candidates, await session.score(candidates), before)).toEqual([]);
  });

  test.each([
    ["CANDIDATE_LENGTH", new Array<number>(11).fill(1)],
    ["CANDIDATE_SCALE", [...new Array<number>(11).fill(1), NaN]],
    ["CANDIDATE_SCALE", [...new Array<number>(11).fill(1), 1e39]],
  ])("%s", async (code, scales) => {
    await using it = await loadTrio(1);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    await expect(session.score([candidate("bad", scales)])).rejects.toThrow(
      expect.objectContaining({ code, name: UsageError.name, message: expect.stringContaining("`bad`") as string }),
    );
  });

  test.each([
    [{ batchTokens: 1 }, "BATCH_TOKENS_RANGE"],
    [{ batchTokens: 2.5 }, "BATCH_TOKENS_RANGE"],
    [{ threads: 0 }, "THREADS_RANGE"],
    [{ threads: 513 }, "THREADS_RANGE"],
  ])("%o is refused", async (options, code) => {
    await using it = await loadTrio(1);
    expect(() => it.adapter.openSession(it.set.samples, options)).toThrow(expect.objectContaining({ code }));
    expect(() => it.adapter.openSession([], SESSION)).toThrow(expect.objectContaining({ code: "SAMPLES_EMPTY" }));
  });
});
