import { afterEach, describe, expect, test } from "vitest";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";
import { nativeDemo, SCORER_DEFAULTS } from "../support/native-jobs.js";

const open: { dispose(): void }[] = [];
afterEach(() => {
  for (const object of open.splice(0)) object.dispose();
});

describe("two numbers per token leave the graph", () => {
  test("losses within 1e-5 nats per token of the host's double sums, and the same tokens are the most likely", async () => {
    const { addon, model, scorer, run } = await nativeDemo(3, 40);
    const shape = { maxTokens: 120, maxSequences: 3, maxRows: 120, rowsOfSequence: 40 };
    const inGraph = await addon.createScorer({ model, ...shape, ...SCORER_DEFAULTS, lossInGraph: true });
    open.push(inGraph, scorer, model);
    expect([scorer.lossInGraph(), inGraph.lossInGraph()]).toEqual([false, true]);
    const tokens = Int32Array.from({ length: 120 }, (_, index) => (index * 7) % 1000);
    let most = 0;
    for (const offsets of [
      [0, 40, 80, 120],
      [0, 2, 41, 81],
      [0, 17],
    ]) {
      const batch = {
        tokens: tokens.slice(0, offsets.at(-1)),
        offsets: Int32Array.from(offsets),
        scored: Uint8Array.from({ length: offsets.at(-1)! }, (_, index) => (offsets.includes(index) ? 0 : 1)),
        shared: false,
      };
      const [host, graph] = await Promise.all(
        [scorer, inGraph].map((from) => {
          from.setBatch(batch);
          return from.run(run);
        }),
      );
      const counts = offsets.slice(1).map((end, index) => end - offsets[index]! - 1);
      for (const [sample, count] of counts.entries()) {
        most = Math.max(most, Math.abs(host!.sums[sample]! - graph!.sums[sample]!) / count);
      }
      expect(Array.from(graph!.correct)).toEqual(Array.from(host!.correct));
    }
    expect(most).toBeLessThan(1e-5);
    expect(most).toBeGreaterThan(0);
  });

  test("logits stay where they are, and are read there where runs are compared", async () => {
    await using it = await loadTrio(3);
    await using session = it.adapter.openSession(it.set.samples, { threads: 1, loss: "graph" });
    const [, , candidate] = allBoundaries(12);
    expect(
      await session.compareWithFile({ ...candidate!, layerScales: new Array<number>(12).fill(1) }, DEMO.adapter),
    ).toBe(0);
  });
});

describe("choices of the context", () => {
  test("flash attention and cache types change the last digits, and are recorded", async () => {
    await using it = await loadTrio(3);
    const score = async (options: object) => {
      await using session = it.adapter.openSession(it.set.samples, { threads: 1, ...options });
      const [scores] = await session.score(allBoundaries(12).slice(-1));
      return { scores: scores!, context: session.context };
    };
    type Scored = Awaited<ReturnType<typeof score>>;
    const apart = (one: Scored, other: Scored) =>
      Math.max(...one.scores.map((value, sample) => Math.abs(value - other.scores[sample]!)));
    const plain = await score({});
    const coarse = await score({ cacheTypeK: "q4_0", cacheTypeV: "q4_0", flashAttention: "on" });
    const fine = await score({ cacheTypeK: "f32", cacheTypeV: "f32", flashAttention: "off" });
    expect(plain.context).toEqual({ lossInGraph: false, flashAttention: "auto", keyType: "f16", valueType: "f16" });
    expect(coarse.context).toEqual({ lossInGraph: false, flashAttention: "on", keyType: "q4_0", valueType: "q4_0" });
    expect(apart(fine, plain)).toBeLessThan(3e-3);
    expect(apart(coarse, plain)).toBeGreaterThan(1e-4);
    expect(apart(coarse, plain)).toBeLessThan(0.1);
  });

  test.each([
    [{ loss: "gpu" }, "LOSS_RANGE"],
    [{ flashAttention: "yes" }, "FLASH_ATTENTION_RANGE"],
    [{ cacheTypeK: "q3_k" }, "CACHE_TYPE_RANGE"],
    [{ cacheTypeV: "F16" }, "CACHE_TYPE_RANGE"],
  ])("%o is refused", async (options, code) => {
    await using it = await loadTrio(1);
    expect(() => it.adapter.openSession(it.set.samples, options as object)).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  test("quantised values without flash attention: llama.cpp's reason, not a crash", async () => {
    await using it = await loadTrio(1);
    const score = it.adapter.score(it.set.samples, allBoundaries(12).slice(-1), {
      threads: 1,
      flashAttention: "off",
      cacheTypeV: "q8_0",
    });
    await expect(score).rejects.toMatchObject({ code: "CONTEXT", exitCode: 5 });
  });
});
