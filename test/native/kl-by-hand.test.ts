import { describe, expect, test } from "vitest";
import type { Sample } from "../../src/data/sample.js";
import { loadModel } from "../../src/index.js";
import { temporaryFolder } from "../support/engine-files.js";
import { candidate, randomSamples } from "../support/engine-samples.js";
import { nativeDemo } from "../support/native-jobs.js";
import { tinyModel, writeTiny, type TinyModel, type TinyShape } from "../support/tiny-model.js";

const SHAPE: TinyShape = { width: 64, inner: 32, layers: 3, vocabulary: 37, rank: 4, alpha: 6, spread: 2, seed: 1 };
const FULL = [[1, 1, 1], 1] as const;

/** A control above the full strength stands first in the walk; the full adapter in the middle; then cuts and the base. */
const STRENGTHS: readonly (readonly [layers: readonly number[], head: number])[] = [
  [[1.25, 1.25, 1.25], 1.25],
  FULL,
  [[1, 1, 0], 0],
  [[1, 0, 0], 0],
  [[0, 1, 1], 1],
  [[0, 0, 0], 0],
];

/** Mean divergence per scored token, nats, in double. */
function byHand(tiny: TinyModel, { tokens, scored }: Sample, [layers, head]: (typeof STRENGTHS)[number]): number {
  const positions = [...tokens.keys()].filter((position) => scored[position] === 1);
  const divergences = positions.map((position) => {
    let sum = 0;
    for (let target = 0; target < SHAPE.vocabulary; target++) {
      const full = tiny.loss(tokens[position - 1]!, target, ...FULL);
      sum += Math.exp(-full) * (tiny.loss(tokens[position - 1]!, target, layers, head) - full);
    }
    return sum;
  });
  return divergences.reduce((sum, value) => sum + value, 0) / positions.length;
}

describe("the divergence from the full adapter", () => {
  test("equals a computation in double, whatever else is scored, resumed or plain", async () => {
    await using folder = await temporaryFolder();
    const tiny = tinyModel(SHAPE);
    const { base, lora } = await writeTiny(folder.path, tiny);
    await using model = await loadModel(base);
    const adapter = await model.loadAdapter(lora);
    const samples = randomSamples([9, 4, 7, 2, 12], SHAPE.vocabulary, 3);
    const candidates = STRENGTHS.map(([layers, head], index) =>
      candidate(`c${index}`, layers, [head === 0 ? 0 : head, head]),
    );
    await using session = adapter.openSession(samples, { threads: 1, batchTokens: 16 });
    expect(session.batches.length).toBeGreaterThan(1);

    const resumed = await session.score(candidates, { objective: "kl" });
    for (const [index, strengths] of STRENGTHS.entries()) {
      for (const [sample, data] of samples.entries()) {
        expect(Math.abs(resumed[index]![sample]! - byHand(tiny, data, strengths))).toBeLessThan(1e-6);
      }
    }
    expect(Array.from(resumed[1]!)).toEqual(samples.map(() => 0));
    expect(Math.min(...resumed[5]!)).toBeGreaterThan(0.01);
    expect(session.facts.replay).toBe("exact");

    expect(await session.score(candidates, { objective: "kl", plain: true })).toEqual(resumed);
    // The full adapter is what is measured from even where it is not among the candidates.
    expect(await session.score([candidates[2]!], { objective: "kl" })).toEqual([resumed[2]]);
    // And a session goes on to score losses.
    const losses = await session.score(candidates);
    expect(losses[0]![0]).not.toBe(resumed[0]![0]);
    expect(session.cost(candidates, { objective: "kl" }).passes).toBe(session.cost(candidates).passes + 1);
    const memory = await session.estimateMemory(candidates);
    expect((await session.estimateMemory(candidates, undefined, "kl")).logits).toBe(2 * memory.logits);
    await expect(session.score(candidates, { objective: "KL" as "kl" })).rejects.toMatchObject({
      code: "OBJECTIVE_RANGE",
    });
  });

  test("without a kept run of the same batch there is nothing to measure from", async () => {
    const { scorer, run } = await nativeDemo();
    await expect(scorer.run({ ...run, logits: "divergence" })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    await scorer.run({ ...run, logits: "keep" });
    const twice = [
      await scorer.run({ ...run, logits: "divergence" }),
      await scorer.run({ ...run, logits: "divergence" }),
    ];
    for (const { sums } of twice) expect(Array.from(sums)).toEqual([0, 0]);
    scorer.setBatch({
      tokens: Int32Array.of(1, 2, 3),
      offsets: Int32Array.of(0, 3),
      scored: Uint8Array.of(0, 1, 1),
      shared: false,
    });
    await expect(scorer.run({ ...run, logits: "divergence" })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });
});
