import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadModel, parseCandidateList, type NamedScales } from "../../src/index.js";
import { expectSameButForTies, plainAnswers } from "../support/answers.js";
import { ARCHITECTURES, hasArchitectures, unlessAbsent } from "../support/engine-files.js";
import { randomSamples } from "../support/engine-samples.js";

const names = hasArchitectures
  ? readdirSync(ARCHITECTURES).flatMap((file) =>
      file.endsWith(".lora.gguf") ? file.slice(0, -".lora.gguf".length) : [],
    )
  : [];

describe.skipIf(!hasArchitectures)(unlessAbsent("generation", hasArchitectures, "architectures"), () => {
  test("one model per architecture", () => {
    expect(names).toHaveLength(24);
  });

  test.each(names.length > 0 ? names : ["none"])(
    "%s: A, B, A in the same bits, and the same with drafts",
    async (name) => {
      await using model = await loadModel(`${ARCHITECTURES}${name}.gguf`);
      const adapter = await model.loadAdapter(`${ARCHITECTURES}${name}.lora.gguf`);
      const prompts = randomSamples([11, 5, 17], model.facts.vocabulary, 3).map(({ tokens }) => tokens);
      const options = { threads: 1, maxTokens: 10, sequences: 2 };
      const [full, base] = parseCandidateList("full,base", { layers: model.layers }) as [NamedScales, NamedScales];
      await using plain = adapter.openGenerator(prompts, { ...options, drafts: false });
      const [first, other, again] = (await plain.generate([full, base, full])).map(plainAnswers);
      expect(again).toEqual(first);
      expect(other).not.toEqual(first);

      await using drafted = adapter.openGenerator(prompts, options);
      const [reference] = await plain.generate([full]);
      // Leads of noise are small, and a draft would end before any of them.
      const certain = reference!.map(({ tokens, margins }) => ({ tokens, margins: margins.map(() => 10) }));
      await drafted.recall({ answers: certain, facts: plain.facts });
      const [before, , after] = await drafted.generate([full, base, full]);
      // A model that loops over its layers makes much of rounding: without drafts, other company alone moves leads by 0.025.
      const noise = name.startsWith("hrm_text") ? 0.1 : 0.02;
      for (const [index, answer] of reference!.entries()) {
        expectSameButForTies(answer, before![index]!, noise);
        expectSameButForTies(answer, after![index]!, noise);
      }
      const { isRecurrent, isHybrid } = model.facts;
      if (isRecurrent || isHybrid) expect(drafted.facts.draftsProposed).toBe(0);
      else if (drafted.facts.notices.length === 0) expect(drafted.facts.draftsAccepted).toBeGreaterThan(0);
    },
  );
});
