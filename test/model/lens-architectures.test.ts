import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { effectCandidates } from "../../src/analysis/layer-effects.js";
import { loadModel } from "../../src/index.js";
import { ARCHITECTURES, hasArchitectures, unlessAbsent } from "../support/engine-files.js";
import { randomSamples } from "../support/engine-samples.js";

const names = hasArchitectures
  ? readdirSync(ARCHITECTURES).flatMap((file) =>
      file.endsWith(".lora.gguf") ? file.slice(0, -".lora.gguf".length) : [],
    )
  : [];

describe.skipIf(!hasArchitectures)(unlessAbsent("the lens", hasArchitectures, "architectures"), () => {
  const without: string[] = [];

  test.each(names.length > 0 ? names : ["none"])("%s: none, or its last layer is the scorer's answer", async (name) => {
    await using model = await loadModel(`${ARCHITECTURES}${name}.gguf`);
    await using adapter = await model.loadAdapter(`${ARCHITECTURES}${name}.lora.gguf`);
    const samples = randomSamples([23, 9, 14, 31], model.facts.vocabulary, 7);
    await using session = adapter.openSession(samples, { threads: 1, batchTokens: 64 });
    const [full] = effectCandidates(model.layers, []);
    const [scores] = await session.score([full!]);
    const read = await session.lens(full!);
    if (read === null) {
      without.push(name);
      return;
    }
    expect(Array.from(read.nll.at(-1)!)).toEqual(Array.from(scores!));
    expect(read.layers.at(-1)).toBe(model.layers - 1);
    expect(new Set(read.nll.map((column) => column[0])).size).toBe(read.layers.length);
    // And what comes after it is what it was.
    expect(await session.score([full!])).toEqual([scores]);
  });

  test("it lacks where layers keep a state of their own, or more than one tensor crosses", () => {
    expect(without).toEqual([
      "hrm_text-dense",
      "jamba-dense",
      "lfm2-dense",
      "mamba2-dense",
      "nemotron_h-dense",
      "plamo2-dense",
      "talkie-dense",
    ]);
  });
});
