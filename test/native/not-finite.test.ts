import { describe, expect, test } from "vitest";
import { calibrate, loadModel, type CalibrationResult, type SampleSet } from "../../src/index.js";
import { temporaryFolder } from "../support/engine-files.js";
import { allBoundaries, candidate, randomSamples } from "../support/engine-samples.js";
import { withTensors } from "../support/gguf-edit.js";
import { f32 } from "../support/gguf-files.js";
import { tinyModel, writeTiny, type TinyShape } from "../support/tiny-model.js";

const SHAPE: TinyShape = { width: 64, inner: 32, layers: 3, vocabulary: 131, rank: 4, alpha: 6, spread: 2, seed: 1 };
const POISON = SHAPE.vocabulary - 1;

/** A tiny model in which the embedding of one token is not a number, and samples of which the shortest has that token. */
async function poisoned(folder: string) {
  const tiny = tinyModel(SHAPE);
  const bad = withTensors(tiny.base, (tensor, name) => {
    if (name !== "token_embd.weight") return tensor;
    const data = Buffer.from(tensor.data);
    for (let column = 0; column < SHAPE.width; column++) f32(NaN).copy(data, 4 * (POISON * SHAPE.width + column));
    return { ...tensor, data };
  });
  const { base, lora } = await writeTiny(folder, { base: bad, adapter: tiny.adapter });
  const samples = randomSamples([40, 40, 30, 30, 30, 20, 20, 20, 10], POISON, 3);
  samples[8]!.tokens[1] = POISON;
  const model = await loadModel(base);
  const adapter = await model.loadAdapter(lora);
  return { adapter, samples, [Symbol.asyncDispose]: () => model.dispose() };
}

describe("logits that are not numbers", () => {
  test("end the run in the batch where they arise, with the candidate and the line", async () => {
    await using folder = await temporaryFolder();
    await using tiny = await poisoned(folder.path);
    const { adapter, samples } = tiny;
    const batches: number[][] = [];
    const error = await adapter
      .score([samples[8]!, ...samples.slice(0, 8)], allBoundaries(SHAPE.layers), {
        threads: 1,
        batchTokens: 64,
        onBatch: (batch) => batches.push([...batch]),
      })
      .catch((thrown: unknown) => thrown);
    // Descending by strengths, the full adapter comes first. The shortest sample is in the last of the batches.
    expect(error).toMatchObject({ code: "SCORE_NOT_FINITE", exitCode: 5, details: { candidate: "upto:3", line: 9 } });
    expect((error as Error).message).toMatch(/candidate `upto:3` on the sample of line 9: .*overflow/);
    expect(batches.flat()).not.toContain(0);
    expect(batches.length).toBeGreaterThan(1);
  });

  test("name the one candidate that overflows", async () => {
    await using folder = await temporaryFolder();
    await using tiny = await poisoned(folder.path);
    const { adapter, samples } = tiny;
    const huge = candidate("scale:3e38", [3e38, 3e38, 3e38]);
    const scored = adapter.score(samples.slice(0, 3), [...allBoundaries(SHAPE.layers), huge], { threads: 1 });
    await expect(scored).rejects.toMatchObject({ code: "SCORE_NOT_FINITE", details: { candidate: "scale:3e38" } });
  });

  test("calibrate keeps what the batches before them have shown", async () => {
    await using folder = await temporaryFolder();
    await using tiny = await poisoned(folder.path);
    const { adapter, samples } = tiny;
    const set: SampleSet = {
      ...{ samples, path: null, sha256: "", template: null, notices: [], seed: 0, groups: samples.length },
      ...{ scoredTokens: 100, promptTokens: 100 },
    };
    const error = await calibrate(adapter, set, { threads: 1, batchTokens: 64, force: true }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "SCORE_NOT_FINITE", details: { line: 9 } });
    const { partial } = (error as { details: { partial: CalibrationResult } }).details;
    expect(partial.partial).toEqual({ ofSamples: 9, cause: "failed", stage: "boundary" });
    expect(partial.data.lines).not.toContain(9);
    expect(partial.candidates.map(({ id }) => id)).toEqual(["upto:0", "upto:1", "upto:2", "upto:3"]);
    expect(partial.candidates.every(({ perSample }) => perSample.every(Number.isFinite))).toBe(true);
  });
});
