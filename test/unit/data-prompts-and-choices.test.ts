import { describe, expect, test } from "vitest";
import { withChoices } from "../../src/data/choices.js";
import { readSamples } from "../../src/data/read-samples.js";
import { withReferences } from "../../src/data/references.js";
import { scoredCount, type Sample } from "../../src/data/sample.js";
import { answerPrompts } from "../../src/evaluation/answer-prompt.js";
import { allChoices, choiceScores } from "../../src/evaluation/choosing.js";
import { failure } from "../support/data-files.js";
import { TestTokenizer } from "../support/data-tokenizer.js";
import { expectError } from "../support/expect-error.js";

describe("what a sample asks", () => {
  const sample = (scored: string, answer: string | null = "a"): Sample => ({
    tokens: Int32Array.from(scored, (_, place) => 10 + place),
    scored: Uint8Array.from(scored, Number),
    group: "0",
    line: 7,
    source: { row: {}, answer },
  });
  const asked = (one: Sample) => Array.from(answerPrompts({ samples: [one], path: "s.jsonl" })[0]!);

  test("all before the answer, with every turn scored all before the last", () => {
    expect(asked(sample("000111"))).toEqual([10, 11, 12]);
    expect(asked(sample("00110011"))).toEqual([10, 11, 12, 13, 14, 15]);
    expect(asked(sample("001100110"))).toEqual([10, 11, 12, 13, 14, 15]);
  });

  test("a text asks nothing", () => {
    expectError(
      () => asked(sample("0111", null)),
      "SAMPLES_NO_PROMPT",
      /^s\.jsonl, line 7: Expected a row with a prompt/,
    );
  });
});

describe("choices", () => {
  const row = (right: number, ...texts: string[]) => ({ prompt: "Q:", choices: texts, answer: right });

  test("the likeliest per character, ties shared; a choice that is not scored leaves the sample open", async () => {
    const set = await readSamples(
      [row(0, "ab", "abcd"), row(1, "ab", "cd"), row(0, "x", "yy", "zzz")],
      new TestTokenizer(),
    );
    const chosen = withChoices(set);
    const counts = allChoices(chosen).map(scoredCount);
    const characters = [2, 4, 2, 2, 1, 2, 3];
    expect(chosen.map(({ choices }) => choices.right)).toEqual([0, 1, 0]);
    // Sums of 2 and 3 nats: the shorter choice is likelier as a whole, the longer one per character.
    const sums = [2, 3, 5, 5, 1, 4, NaN];
    const losses = Float64Array.from(sums, (sum, choice) => sum / counts[choice]!);
    expect(Array.from(choiceScores(chosen, losses))).toEqual([0, 0.5, NaN]);
    const equal = Float64Array.from(characters, (length, choice) => length / counts[choice]!);
    expect(Array.from(choiceScores(chosen, equal), (score) => Math.round(score * 100))).toEqual([50, 50, 33]);
  });

  test("the sample itself is the right choice, so that its loss and its answers can be judged as well", async () => {
    const rows = [
      row(1, "ab", "cd"),
      { prompt: "Q:", choices: ["ab", "cd"], answer: "cd" },
      { prompt: "Q:", completion: "cd" },
    ];
    const { samples: read } = await readSamples(rows, new TestTokenizer());
    expect(read[0]!.choices).toMatchObject({ right: 1, characters: [2, 2] });
    expect(read[1]!.choices).toMatchObject({ right: 1 });
    for (const one of read)
      expect([one.tokens, one.scored, one.source!.answer]).toEqual([read[2]!.tokens, read[2]!.scored, "cd"]);
    expect(withReferences({ samples: read, path: null })[0]!.references).toEqual(["cd"]);
    expectError(
      () => withChoices({ samples: read, path: null }),
      "SAMPLES_NO_CHOICES",
      /^row 3: Expected `prompt`, `choices`/,
    );
  });

  test.each([
    [{ prompt: "Q:", choices: ["a", "b"], answer: 2 }, /index from 0 to 1, for `answer` but received 2/],
    [{ prompt: "Q:", choices: ["a", "b"], answer: "c" }, /for `answer` but received "c"/],
    [{ prompt: "Q:", choices: ["a", "b"], answer: null }, /for `answer` but received null/],
    [{ prompt: "Q:", choices: ["a"], answer: 0 }, /at least two texts/],
    [{ prompt: "Q:", choices: ["a", ""], answer: 0 }, /none of them empty/],
    [{ prompt: "Q:", choices: ["a", 1], answer: 0 }, /at least two texts/],
    [{ prompt: "Q:", choices: ["a", "a"], answer: 0 }, /every text of `choices` once/],
  ])("%j is refused", async (wrong, message) => {
    const error = await failure(readSamples([wrong], new TestTokenizer()));
    expect(error).toMatchObject({ code: "SAMPLES_BAD_CHOICES", exitCode: 3 });
    expect(error.message).toMatch(message);
  });

  test("beside a completion they are the user's own field", async () => {
    const { samples: read } = await readSamples([{ ...row(0, "ab", "cd"), completion: "ef" }], new TestTokenizer());
    expect(read[0]!.choices).toBeUndefined();
    expect(read[0]!.source!.answer).toBe("ef");
  });
});

test("a prompt with several right answers has the first as its completion", async () => {
  const rows = [
    { prompt: "Q:", references: [" a b", " c"] },
    { prompt: "Q:", completion: " a b" },
  ];
  const { samples: read } = await readSamples(rows, new TestTokenizer());
  expect([read[0]!.tokens, read[0]!.scored]).toEqual([read[1]!.tokens, read[1]!.scored]);
  expect(withReferences({ samples: read, path: null }).map(({ references }) => references)).toEqual([
    [" a b", " c"],
    [" a b"],
  ]);
  const broken = await failure(readSamples([{ prompt: "Q:", references: [] }], new TestTokenizer()));
  expect(broken).toMatchObject({ code: "SAMPLES_UNKNOWN_FORM" });
});

describe("rows with only a prompt", () => {
  test("are text where they are asked for, and else a completion that is missing", async () => {
    const rows = [{ prompt: "some words", topic: 1 }, { text: "some words" }];
    const { samples: read } = await readSamples(rows, new TestTokenizer(), { promptOnly: true });
    expect([read[0]!.tokens, read[0]!.scored]).toEqual([read[1]!.tokens, read[1]!.scored]);
    expectError(() => withReferences({ samples: read, path: null }), "SAMPLES_NO_REFERENCES", /^row 1/);
    const error = await failure(readSamples(rows, new TestTokenizer()));
    expect(error).toMatchObject({ code: "SAMPLES_UNKNOWN_FORM" });
    expect(error.message).toContain("Rows with only a `prompt` can be scored by `kl`");
  });
});
