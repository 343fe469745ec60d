import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadModel } from "../../src/index.js";
import { ARCHITECTURES, hasArchitectures, unlessAbsent } from "../support/engine-files.js";
import { allBoundaries, differing, otherShapes, randomSamples, scoredBothWays } from "../support/engine-samples.js";

const names = hasArchitectures
  ? readdirSync(ARCHITECTURES).flatMap((file) =>
      file.endsWith(".lora.gguf") ? file.slice(0, -".lora.gguf".length) : [],
    )
  : [];

describe.skipIf(!hasArchitectures)(
  unlessAbsent("resumed = plain, layered = whole", hasArchitectures, "architectures"),
  () => {
    test("one model per architecture", () => {
      expect(names).toHaveLength(24);
    });

    test.each(names.length > 0 ? names : ["none"])("%s", async (name) => {
      await using model = await loadModel(`${ARCHITECTURES}${name}.gguf`);
      const adapter = await model.loadAdapter(`${ARCHITECTURES}${name}.lora.gguf`);
      const samples = randomSamples([23, 9, 14, 31], model.facts.vocabulary, 7);
      await using session = adapter.openSession(samples, { threads: 1, batchTokens: 64 });
      const candidates = [...allBoundaries(model.layers), ...otherShapes(model.layers, 11)];
      const { resumed, plain, passes } = await scoredBothWays(session, candidates);
      expect(differing(candidates, resumed, plain)).toEqual([]);
      const { replay, notices } = session.facts;
      const distinct = new Set(plain.map((scores) => scores[0])).size;
      expect(distinct).toBeGreaterThan(model.layers);
      expect({ replay, notices }).toEqual({ replay: "exact", notices: [] });
      const cost = session.cost(candidates);
      expect(passes).toBeCloseTo(cost.passes + cost.checkPasses, 9);
      expect(cost.passes).toBeLessThan(distinct);
      const full = candidates[model.layers]!;
      expect(await session.compareWithFile(full, `${ARCHITECTURES}${name}.lora.gguf`)).toBe(0);

      await using inGraph = adapter.openSession(samples, { threads: 1, batchTokens: 64, loss: "graph" });
      const boundaries = allBoundaries(model.layers);
      const fromGraph = await inGraph.score(boundaries);
      expect(inGraph.facts).toMatchObject({ loss: "graph", replay: "exact", notices: [] });
      const furthest = fromGraph.flatMap((scores, index) =>
        Array.from(scores, (score, sample) => Math.abs(score - resumed[index]![sample]!)),
      );
      expect(Math.max(...furthest)).toBeLessThan(1e-5);
      expect(await inGraph.compareWithFile(full, `${ARCHITECTURES}${name}.lora.gguf`)).toBe(0);
    });
  },
);
