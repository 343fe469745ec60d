import { expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { ARCHITECTURES, DEMO, hasArchitectures, unlessAbsent } from "../support/engine-files.js";
import { allBoundaries, randomSamples } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";

const SESSION = { threads: 1 };

test("padded ranks compute the same function, in other roundings", async () => {
  await using it = await loadTrio(3);
  const asFile = await it.model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  expect([asFile.rankMultiple, it.adapter.rankMultiple, it.adapter.file.rank]).toEqual([1, 16, 8]);
  const candidates = allBoundaries(12).filter((_, boundary) => boundary % 4 === 0);
  const [exact, padded] = [asFile, it.adapter].map((adapter) => adapter.score(it.set.samples, candidates, SESSION));
  for (const [index, scores] of (await padded!).entries()) {
    for (const [sample, score] of scores.entries()) {
      expect(Math.abs(score - (await exact!)[index]![sample]!)).toBeLessThan(1e-3);
    }
  }
});

test("a rank that is a multiple already is left alone, bit for bit", async () => {
  await using it = await loadTrio(2);
  const asFile = await it.model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  const eights = await it.model.loadAdapter(DEMO.adapter, { rankMultiple: 8 });
  const full = allBoundaries(12).slice(-1);
  expect(await eights.score(it.set.samples, full, SESSION)).toEqual(await asFile.score(it.set.samples, full, SESSION));
});

test.each([0, 1.5, 1025])("rankMultiple %s is refused", async (rankMultiple) => {
  await using model = await loadModel(DEMO.base);
  await expect(model.loadAdapter(DEMO.adapter, { rankMultiple })).rejects.toMatchObject({
    code: "RANK_MULTIPLE_RANGE",
  });
});

test.skipIf(!hasArchitectures)(
  unlessAbsent("pairs of experts are padded expert by expert", hasArchitectures, "models/architectures"),
  async () => {
    await using model = await loadModel(`${ARCHITECTURES}qwen3moe-moe.gguf`);
    const path = `${ARCHITECTURES}qwen3moe-moe.lora.gguf`;
    const samples = randomSamples([17, 23], model.facts.vocabulary, 3);
    const candidates = [...allBoundaries(model.layers).slice(-1), ...allBoundaries(model.layers).slice(0, 1)];
    const scores = await Promise.all(
      [1, 16].map(async (rankMultiple) => {
        const adapter = await model.loadAdapter(path, { rankMultiple });
        return adapter.score(samples, candidates, SESSION);
      }),
    );
    for (const sample of samples.keys()) {
      const [exact, padded] = scores.map(([full]) => full![sample]!);
      const base = scores[0]![1]![sample]!;
      expect(Math.abs(exact! - base)).toBeGreaterThan(1e-2);
      expect(Math.abs(exact! - padded!)).toBeLessThan(1e-3 * Math.abs(exact! - base) + 1e-4);
    }
  },
);
