import { describe, expect, test } from "vitest";
import { AnswerWriter, calibrate, plan, readSamples } from "../../src/index.js";
import type { WrittenAnswers } from "../../src/index.js";
import { answerPrompts } from "../../src/evaluation/answer-prompt.js";
import { CancelledError } from "../../src/errors.js";
import { namedCandidates } from "../../src/evaluation/name-candidates.js";
import { loadTrio } from "../support/engine-trio.js";

const THREADS = { threads: 1 } as const;

describe("answers to samples", () => {
  test("a few samples at a time, resting in between, is what all of them at once give", async () => {
    await using trio = await loadTrio(6);
    const { adapter, set, model } = trio;
    const candidates = namedCandidates("upto:9", model.layers);
    const prompts = answerPrompts(set);
    const options = { ...THREADS, maxTokens: 24 };
    const whole = await adapter.generate(prompts, { candidates, ...options, drafts: false });
    await using writer = new AnswerWriter(adapter, set, [[4, 1], [0, 2, 5], [3]], options);
    // There and back: what one candidate left in a batch's memory is gone, what it wrote is a draft.
    for (const [index, candidate] of candidates.entries()) {
      for (const [batch, members] of [[4, 1], [0, 2, 5], [3]].entries()) {
        const answers = await writer.write(candidate, batch);
        expect(answers).toEqual(members.map((sample) => whole[index]![sample]!.text));
      }
    }
    expect(writer.facts.answers).toBe(18);
    expect(writer.facts.cut).toBe(whole.flat().filter(({ finish }) => finish === "length").length);
    expect(writer.facts.draftsAccepted).toBeGreaterThan(0);
  });

  test("answers that never end are cut at the limit, and an answer may be empty", async () => {
    await using trio = await loadTrio(2);
    const { adapter, set, model } = trio;
    const [, full] = namedCandidates("full", model.layers);
    await using short = new AnswerWriter(adapter, set, [[0, 1]], { ...THREADS, maxTokens: 3 });
    const cut = await short.write(full!, 0);
    expect(short.facts).toMatchObject({ answers: 2, cut: 2, tokensWritten: 6 });
    // The first letters of the answer stop it.
    await using silent = new AnswerWriter(adapter, set, [[0, 1]], {
      ...THREADS,
      stop: cut.map((text) => text.slice(0, 2)),
    });
    expect(await silent.write(full!, 0)).toEqual(["", ""]);
    expect(silent.facts.cut).toBe(0);
  });
});

describe("calibrate by answers", () => {
  const options = { ...THREADS, objective: "rouge-l", margin: 0.5, answers: { maxTokens: 8 } } as const;

  test("tells answers as they come, best first by loss", async () => {
    await using trio = await loadTrio(10);
    const { adapter, set } = trio;
    const told: WrittenAnswers[] = [];
    const result = await calibrate(adapter, set, {
      ...options,
      keepAnswers: true,
      onAnswers: (written) => told.push(written),
    });
    const candidates = result.candidates.length;
    expect(told).toHaveLength(2 * candidates);
    const [one] = told;
    const kept = result.candidates.find(({ id }) => id === one!.candidate.id)!.answers!;
    expect(one!.samples.map((sample) => kept[sample])).toEqual(one!.answers);
    // The full adapter was written for the plan already, the base model comes last.
    const order = told.slice(0, candidates).map(({ candidate }) => candidate.id);
    const losses = result.candidates.map(({ id, nll }) => ({ id, mean: nll!.mean }));
    expect(order[0]).toBe("upto:12");
    expect(order.at(-1)).toBe(losses.reduce((most, it) => (it.mean > most.mean ? it : most)).id);
  });

  test("the plan counts the losses and the answers; a cancelled run tells what is known", async () => {
    await using trio = await loadTrio(16);
    const { adapter, set } = trio;
    const byLoss = await plan(adapter, set, { ...options, objective: "nll", measure: false });
    const byAnswers = await plan(adapter, set, { ...options, measure: false });
    // Samples that are answered together are packed together, so that they share other prompts.
    expect(Math.abs(byAnswers.passes - byLoss.passes - 13)).toBeLessThan(1.5);
    const cancel = new AbortController();
    let batches = 0;
    const running = calibrate(adapter, set, {
      ...options,
      signal: cancel.signal,
      onAnswers: () => {
        batches += 1;
        if (batches === 20) cancel.abort();
      },
    });
    const error = await running.catch((it: unknown) => it);
    expect(error).toBeInstanceOf(CancelledError);
    const { partial } = (error as CancelledError).details as { partial: Awaited<typeof running> };
    expect(partial).toMatchObject({ objective: "rouge-l", partial: { cause: "cancelled", ofSamples: 16 } });
    expect(partial.candidates[0]!.nll).toBeDefined();
    expect(partial.data.samples).toBeLessThan(16);
  });

  test("a prompt that leaves no room in the context is left out and said, not answered", async () => {
    await using trio = await loadTrio(1);
    const { model, adapter } = trio;
    const long = { prompt: "word ".repeat(model.trainedContext), completion: " end" };
    const short = { prompt: "Data: name: The Owl\nText:", completion: " The Owl." };
    const set = await readSamples([long, short], model);
    expect(set.samples).toHaveLength(1);
    expect(set.notices.join()).toContain("left out");
    const tight = { ...THREADS, contextTokens: 4 };
    expect(() => new AnswerWriter(adapter, set, [[0]], tight)).toThrow(/tokens but the context has 4/);
  });
});
