import { describe, expect, test } from "vitest";
import { CancelledError, InputError, UsageError, parseCandidateList, type Answer } from "../../src/index.js";
import { expectSameButForTies, plainAnswers } from "../support/answers.js";
import { DEMO } from "../support/engine-files.js";
import { loadTrio } from "../support/engine-trio.js";

const named = (name: string) => parseCandidateList(name, { layers: 12 })[0]!;
const SMALL = { threads: 1, maxTokens: 32 };
/** Logits that another batch size moves on the demo, whose matrices are F16: 0.016 was seen. */
const NOISE = 0.05;

async function demo(prompts: number) {
  const trio = await loadTrio(prompts);
  return { ...trio, prompts: trio.set.samples.map(({ tokens, scored }) => tokens.slice(0, scored.indexOf(1))) };
}

describe("what is written", () => {
  test("is the most probable token at every position: leads are differences of scored losses", async () => {
    await using it = await demo(2);
    const candidate = named("upto:9");
    const [answers = []] = await it.adapter.generate(it.prompts, { ...SMALL, candidate });
    const positions = answers.flatMap(({ tokens }, prompt) => [...tokens].map((_, at) => ({ prompt, at })));
    expect(positions.length).toBeGreaterThan(20);
    const ending = (prompt: number, at: number, last: number) => {
      const tokens = Int32Array.from([...it.prompts[prompt]!, ...answers[prompt]!.tokens.slice(0, at), last]);
      const scored = new Uint8Array(tokens.length);
      scored[tokens.length - 1] = 1;
      return { tokens, scored, group: "", line: 1 };
    };
    const samples = positions.flatMap(({ prompt, at }) => {
      const { tokens, runnersUp } = answers[prompt]!;
      return [ending(prompt, at, tokens[at]!), ending(prompt, at, runnersUp[at]!)];
    });
    const [losses = new Float64Array()] = await it.adapter.score(samples, [{ ...candidate, family: "boundary" }], {
      threads: 1,
    });
    for (const [index, { prompt, at }] of positions.entries()) {
      const lead = losses[2 * index + 1]! - losses[2 * index]!;
      expect(Math.abs(lead - answers[prompt]!.margins[at]!)).toBeLessThan(NOISE);
    }
  });

  test("is what the adapter learnt; the base model writes something else", async () => {
    await using it = await demo(1);
    const candidates = [named("base"), named("full")];
    const [[base], [full]] = (await it.adapter.generate(it.prompts, { threads: 1, maxTokens: 64, candidates })) as [
      Answer[],
      Answer[],
    ];
    expect(full).toMatchObject({ finish: "end" });
    expect(full!.text).toMatch(/^ The Lucky Lantern is .*\.$/);
    expect(base!.text).not.toBe(full!.text);
  });

  test("comes out the same after another candidate has written: A, B, A, bit for bit", async () => {
    await using it = await demo(4);
    await using generator = it.adapter.openGenerator(it.prompts, { ...SMALL, sequences: 3, drafts: false });
    const names = ["full", "base", "full", "without:3*1.5", "upto:5", "base", "upto:5"].map(named);
    const [full, base, fullAgain, , upto5, baseAgain, upto5Again] = (await generator.generate(names)).map(plainAnswers);
    expect([fullAgain, baseAgain, upto5Again]).toEqual([full, base, upto5]);
    expect(base).not.toEqual(full);
    expect(upto5).not.toEqual(full);
  });

  test("does not depend on how many are written at once", async () => {
    await using it = await demo(8);
    const write = async (sequences: number) =>
      (await it.adapter.generate(it.prompts, { ...SMALL, sequences, drafts: false, candidate: named("full") }))[0]!;
    const [alone, three, eight] = [await write(1), await write(3), await write(8)];
    for (const [index, answer] of alone.entries()) {
      expectSameButForTies(answer, three[index]!, NOISE);
      expectSameButForTies(answer, eight[index]!, NOISE);
    }
  });

  test("arrives piece by piece, in order", async () => {
    await using it = await demo(3);
    const pieces = new Map<string, string>();
    const candidates = [named("full"), named("upto:6")];
    const answers = await it.adapter.generate(it.prompts, {
      ...{ ...SMALL, candidates },
      onToken: ({ candidate, prompt, text }) => {
        pieces.set(`${candidate} ${prompt}`, (pieces.get(`${candidate} ${prompt}`) ?? "") + text);
      },
    });
    for (const [column, { id }] of candidates.entries()) {
      for (const [prompt, { text }] of answers[column]!.entries()) expect(pieces.get(`${id} ${prompt}`)).toBe(text);
    }
  });
});

describe("drafts", () => {
  test("change nothing but the number of steps", async () => {
    await using it = await demo(6);
    const candidates = [12, 11, 10, 9, 8, 7].map((b) => named(`upto:${b}`));
    await using plain = it.adapter.openGenerator(it.prompts, { ...SMALL, drafts: false });
    await using drafted = it.adapter.openGenerator(it.prompts, SMALL);
    const [without, withDrafts] = [await plain.generate(candidates), await drafted.generate(candidates)];
    for (const [column, answers] of without.entries()) {
      for (const [prompt, answer] of answers.entries())
        expectSameButForTies(answer, withDrafts[column]![prompt]!, NOISE);
    }
    expect(plain.facts.draftsProposed).toBe(0);
    expect(drafted.facts.draftsAccepted).toBeGreaterThan(50);
    expect(drafted.facts.steps).toBeLessThan((plain.facts.steps * 2) / 3);
  });

  test("what an answer was before is written again in a step or two, with the same text", async () => {
    await using it = await demo(1);
    await using generator = it.adapter.openGenerator(it.prompts, SMALL);
    const [[first]] = (await generator.generate([named("full")])) as [Answer[]];
    const { steps } = generator.facts;
    const [[again]] = (await generator.generate([named("full")])) as [Answer[]];
    expectSameButForTies(first!, again!, NOISE);
    expect(generator.facts.steps - steps).toBeLessThanOrEqual(5);
  });
});

describe("prompts that are opened", () => {
  test("are computed from the layer that differs on; answers stay the same, but for ties: A, B, A", async () => {
    await using it = await demo(5);
    const names = ["full", "upto:11", "upto:8", "without:3", "base", "upto:8", "full"];
    const candidates = names.map(named);
    await using plain = it.adapter.openGenerator(it.prompts, { ...SMALL, drafts: false });
    await using opened = it.adapter.openGenerator(it.prompts, { ...SMALL, sequences: 2 });
    for (const [column, answers] of (await opened.generate(candidates)).entries()) {
      const [alone] = await plain.generate([candidates[column]!]);
      for (const [prompt, answer] of answers.entries()) expectSameButForTies(alone![prompt]!, answer, NOISE);
    }
    expect(opened.facts.notices).toEqual([]);
  });
});

describe("where an answer ends", () => {
  test("before a stop string, with drafts too; after maxTokens; at the end of the context", async () => {
    await using it = await demo(1);
    const write = async (options: object) =>
      (
        await it.adapter.generate(it.prompts, { threads: 1, candidates: [named("full"), named("full")], ...options })
      ).flat();
    const [whole] = await write({});
    const stop = whole!.text.slice(9, 14);
    for (const answer of await write({ stop: [stop] })) {
      expect(answer).toMatchObject({ text: whole!.text.slice(0, whole!.text.indexOf(stop)), finish: "stop" });
    }
    for (const answer of await write({ maxTokens: 7 })) {
      expect(answer).toMatchObject({ finish: "length", tokens: whole!.tokens.slice(0, 7) });
    }
    const contextTokens = it.prompts[0]!.length + 5;
    for (const answer of await write({ contextTokens }))
      expect([...answer.tokens]).toEqual([...whole!.tokens.slice(0, 5)]);
  });
});

describe("by chance", () => {
  const CHANCE = { ...SMALL, temperature: 1.5, topP: 0.95 };
  test("the same seed draws the same, alone or in company; another seed, and the same prompt again, draw otherwise", async () => {
    await using it = await demo(4);
    const write = async (prompts: readonly Int32Array[], seed: number) =>
      (await it.adapter.generate(prompts, { ...CHANCE, seed, candidate: named("full") }))[0]!.map(({ text }) => text);
    const four = await write(it.prompts, 7);
    expect(await write(it.prompts, 7)).toEqual(four);
    expect(await write([it.prompts[2]!], 7)).toEqual([four[2]]);
    expect(await write(it.prompts, 8)).not.toEqual(four);
    const [first, second] = await write([it.prompts[2]!, it.prompts[2]!], 7);
    expect(first).toBe(four[2]);
    expect(second).not.toBe(first);
  });

  test("next to nothing as temperature, or as top-p, is the greedy text", async () => {
    await using it = await demo(2);
    const write = async (options: object) =>
      (await it.adapter.generate(it.prompts, { ...SMALL, candidate: named("full"), ...options }))[0]!;
    const greedy = await write({ drafts: false });
    for (const options of [{ temperature: 1e-5 }, { temperature: 1, topP: 0 }]) {
      for (const [index, answer] of (await write(options)).entries()) {
        expectSameButForTies(greedy[index]!, answer, NOISE);
      }
    }
  });
});

describe("bad input", () => {
  test.each([
    ["no prompt", [], {}, UsageError, "PROMPTS_EMPTY"],
    ["a prompt without tokens", [new Int32Array()], {}, InputError, "PROMPT_EMPTY"],
    ["a token that does not exist", [Int32Array.of(1024)], {}, UsageError, "PROMPT_TOKEN"],
    ["a prompt longer than the context", ["word ".repeat(5000)], {}, InputError, "PROMPT_TOO_LONG"],
    ["an empty stop string", ["a"], { stop: [""] }, UsageError, "GENERATE_OPTION"],
    ["a temperature below 0", ["a"], { temperature: -1 }, UsageError, "GENERATE_OPTION"],
    ["top-p above 1", ["a"], { topP: 1.1 }, UsageError, "GENERATE_OPTION"],
    ["no room for an answer", ["a"], { maxTokens: 0 }, UsageError, "GENERATE_OPTION"],
  ])("%s", async (_, prompts, options, family, code) => {
    await using it = await loadTrio(1);
    const writing = it.adapter.generate(prompts, { ...options, candidate: named("full") });
    await expect(writing).rejects.toMatchObject({ constructor: family, code });
  });

  test("cancelled in the middle, and asked again: the same answers", async () => {
    await using it = await demo(3);
    await using generator = it.adapter.openGenerator(it.prompts, { ...SMALL, drafts: false });
    const [whole] = await generator.generate([named("full")]);
    const controller = new AbortController();
    const writing = generator.generate([named("full")], {
      signal: controller.signal,
      onToken: () => {
        controller.abort();
      },
    });
    await expect(writing).rejects.toThrow(CancelledError);
    const [again] = await generator.generate([named("full")]);
    expect(plainAnswers(again!)).toEqual(plainAnswers(whole!));
  });
});

test("layers at strength 1 choose as the adapter that llama.cpp loads whole", async () => {
  const { loadAddon } = await import("../../src/native/binding.js");
  const { readAdapter } = await import("../../src/lora/adapter-file.js");
  const { partOfTensor } = await import("../../src/engine/adapter.js");
  const addon = await loadAddon();
  const control = new addon.JobControl();
  const { base: path, adapter: adapterPath } = DEMO;
  const model = await addon.loadModel({ path, gpuLayers: 0, devices: [], control });
  const parts = partOfTensor(await readAdapter(adapterPath), 12);
  const layered = await addon.loadAdapter({
    model,
    path: adapterPath,
    partOfTensor: parts,
    partsPerLayer: 1,
    rankMultiple: 1,
    fusedLora: false,
    control,
  });
  const whole = await addon.loadWholeAdapter({ model, path: adapterPath });
  const shape = {
    contextTokens: 64,
    maxSequences: 2,
    batchTokens: 64,
    maxRows: 64,
    threads: 1,
    fusedLora: false,
    resumes: false,
    ownSums: false,
  };
  const generator = await addon.createGenerator({ model, ...shape });
  const step = {
    slots: Int32Array.of(1, 0),
    offsets: Int32Array.of(0, 5, 12),
    tokens: Int32Array.from({ length: 12 }, (_, index) => (index * 37) % 1024),
    drafts: Int32Array.of(4, 0),
    control,
  };
  const choose = async (adapter: typeof whole | null, strengths: Float32Array) => {
    generator.setStrengths({ adapter, strengths });
    const { seconds, ...result } = await generator.step(step);
    expect(seconds).toBeGreaterThan(0);
    return result;
  };
  const ones = await choose(layered, new Float32Array(14).fill(1));
  expect(await choose(whole, Float32Array.of(1))).toEqual(ones);
  expect(await choose(null, new Float32Array())).not.toEqual(ones);
  await expect(generator.step({ ...step, drafts: Int32Array.of(5, 0) })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
  await expect(generator.step({ ...step, slots: Int32Array.of(1, 1) })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  generator.dispose();
  expect(() => {
    generator.clear({ slot: 0 });
  }).toThrow(expect.objectContaining({ code: "DISPOSED" }));
});
