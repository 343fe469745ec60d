import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { temporaryFolder } from "../support/engine-files.js";
import { candidate, randomSamples } from "../support/engine-samples.js";
import { tinyModel, writeTiny, type TinyShape } from "../support/tiny-model.js";

const SHAPE: TinyShape = { width: 64, inner: 32, layers: 3, vocabulary: 131, rank: 4, alpha: 6, spread: 2, seed: 1 };

/** Strengths of the three layers and of the head: base, full, boundaries, fractions, a negative one. */
const STRENGTHS: readonly (readonly [layers: readonly number[], head: number])[] = [
  [[0, 0, 0], 0],
  [[1, 1, 1], 1],
  [[1, 1, 0], 0],
  [[1, 0, 0], 0],
  [[0, 1, 1], 1],
  [[0.5, 1.25, 2], 0],
  [[-1, 0.3, 0], 1.5],
];

async function compare(shape: TinyShape): Promise<{ readonly worst: number; readonly losses: readonly number[] }> {
  await using folder = await temporaryFolder();
  const tiny = tinyModel(shape);
  const { base, lora } = await writeTiny(folder.path, tiny);
  await using model = await loadModel(base);
  const adapter = await model.loadAdapter(lora);
  const samples = randomSamples([9, 4, 17, 2, 30], shape.vocabulary, 3);
  const candidates = STRENGTHS.map(([layers, head], index) => candidate(`c${index}`, layers, [1, head]));
  const scores = await adapter.score(samples, candidates, { threads: 1, batchTokens: 64 });
  let worst = 0;
  const losses: number[] = [];
  for (const [index, [layers, head]] of STRENGTHS.entries()) {
    for (const [sample, { tokens, scored }] of samples.entries()) {
      const expected = [...tokens.keys()].flatMap((position) =>
        scored[position] === 1 ? [tiny.loss(tokens[position - 1]!, tokens[position]!, layers, head)] : [],
      );
      losses.push(...expected);
      const mean = expected.reduce((sum, loss) => sum + loss, 0) / expected.length;
      worst = Math.max(worst, Math.abs(mean - scores[index]![sample]!));
    }
  }
  return { worst, losses };
}

describe("a model that is computed by hand, in double", () => {
  test("every sample's loss under every vector of layer strengths is within 1e-5 nats per token", async () => {
    const { worst, losses } = await compare(SHAPE);
    expect(worst).toBeLessThan(1e-5);
    expect(Math.max(...losses)).toBeGreaterThan(6);
    expect(Math.min(...losses)).toBeLessThan(4);
  });

  test.each([1, 2, 15, 16, 17, 33, 257])("vocabulary of %i: no lane and no rest is lost", async (vocabulary) => {
    const { worst } = await compare({ ...SHAPE, vocabulary });
    expect(worst).toBeLessThan(1e-5);
  });

  test("logits hundreds apart: what cannot be told from 0 is left out, and a loss of hundreds of nats is right", async () => {
    const { worst, losses } = await compare({ ...SHAPE, spread: 200 });
    expect(Math.max(...losses)).toBeGreaterThan(200);
    expect(worst / Math.max(...losses)).toBeLessThan(1e-6);
  });
});
