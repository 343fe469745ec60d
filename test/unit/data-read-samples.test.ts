import { describe, expect, it } from "vitest";
import { readSamples } from "../../src/data/read-samples.js";
import type { ReadSamplesOptions } from "../../src/data/options.js";
import { renderSample } from "../../src/data/show-sample.js";
import { mulberry32 } from "../../src/data/shuffle.js";
import { failure, jsonl, useFolder } from "../support/data-files.js";
import { scoredText, scoredTexts, TestTokenizer, wholeText } from "../support/data-tokenizer.js";

const folder = useFolder();
const words = ["Q", "A", ":", " yes", "yes", " no", " "];
const tokenizer = new TestTokenizer({ addBos: true, words });
const plain = new TestTokenizer({ words });

describe("prompt and completion", () => {
  it("scores the completion's tokens and nothing else", async () => {
    const { samples } = await readSamples([{ prompt: "Q:", completion: " yes" }], tokenizer);
    expect([...samples[0]!.tokens]).toEqual(tokenizer.ids("<s>", "Q", ":", " yes"));
    expect([...samples[0]!.scored]).toEqual([0, 0, 0, 1]);
  });

  it("scores a token that straddles the border and says so", async () => {
    const set = await readSamples(
      [
        { prompt: "Q: ", completion: "yes" },
        { prompt: "A:", completion: " no" },
      ],
      tokenizer,
    );
    expect([...set.samples[0]!.tokens]).toEqual(tokenizer.ids("<s>", "Q", ":", " yes"));
    expect([...set.samples[0]!.scored]).toEqual([0, 0, 0, 1]);
    expect(set.notices).toEqual([expect.stringMatching(/^row 1: in 1 sample one token holds the end of the prompt/)]);
  });

  it("never scores the first token, and says so", async () => {
    const set = await readSamples(
      [
        { prompt: "", completion: "Q yes" },
        { prompt: "Q", completion: "A" },
      ],
      plain,
    );
    expect([...set.samples[0]!.scored]).toEqual([0, 1]);
    expect(set.notices).toEqual([expect.stringMatching(/^row 1: in 1 sample the first token is not scored/)]);
    const error = await failure(readSamples([{ text: "Q" }], plain));
    expect(error.code).toBe("SAMPLES_NOTHING_SCORED");
    expect(error.message).toMatch(/^row 1: No token is scored: the sample has 1 token,/);
  });

  it("scores all of a text behind the BOS", async () => {
    const { samples } = await readSamples([{ text: "QA" }], tokenizer);
    expect([...samples[0]!.scored]).toEqual([0, 1, 1]);
  });

  it("aligns a tokenizer that adds a space in front", async () => {
    const spm = new TestTokenizer({ addBos: true, dummyPrefix: true, words: [" Q", ":", " yes"] });
    const { samples, notices } = await readSamples([{ prompt: "Q:", completion: " yes" }, { text: "Q yes" }], spm);
    expect([...samples[0]!.tokens]).toEqual(spm.ids("<s>", " Q", ":", " yes"));
    expect([...samples[0]!.scored]).toEqual([0, 0, 0, 1]);
    expect([...samples[1]!.scored]).toEqual([0, 1, 1]);
    expect(notices).toEqual([]);
  });

  it("tokenises prompt and completion apart where the tokenizer changes the text, with a notice", async () => {
    const lower = new TestTokenizer({ lowerCase: true, words: ["quest", "yes", "ny"] });
    const set = await readSamples(
      [
        { prompt: "QUESTn", completion: "Yes" },
        { prompt: "quest", completion: "yes" },
      ],
      lower,
    );
    expect([...set.samples[0]!.tokens]).toEqual(lower.ids("quest", "n", "yes"));
    expect([...set.samples[0]!.scored]).toEqual([0, 0, 1]);
    expect(set.notices).toEqual([expect.stringMatching(/^row 1: the tokenizer changes the text of 1 sample/)]);
  });

  it("scores every byte of a character that is split over tokens", async () => {
    const { samples } = await readSamples([{ prompt: "é", completion: "😀" }], plain);
    expect([...samples[0]!.scored]).toEqual([0, 0, 1, 1, 1, 1]);
  });

  it("appends an EOS only where asked, and scores it", async () => {
    const rows = [{ prompt: "Q", completion: "A" }];
    const { samples } = await readSamples(rows, tokenizer, { eos: true });
    expect([...samples[0]!.tokens]).toEqual(tokenizer.ids("<s>", "Q", "A", "</s>"));
    expect([...samples[0]!.scored]).toEqual([0, 0, 1, 1]);
    const error = await failure(readSamples(rows, new TestTokenizer({ eos: null }), { eos: true }));
    expect(error).toMatchObject({ code: "SAMPLES_OPTION", exitCode: 2 });
  });

  it("refuses a BOS in the text and reads other control tokens as text, with a notice", async () => {
    const error = await failure(readSamples([{ prompt: "<s>Q", completion: "A" }], tokenizer));
    expect(error.code).toBe("SAMPLES_DOUBLE_BOS");
    expect(error.message).toMatch(/^row 1: The text starts with <s>, which the model puts in front/);
    const set = await readSamples(
      [
        { prompt: "Q", completion: "A</s>" },
        { prompt: "Q", completion: "A" },
      ],
      tokenizer,
    );
    expect(set.samples[0]!.tokens).toHaveLength(3 + 4);
    expect([...set.samples[0]!.tokens]).not.toContain(tokenizer.eos);
    expect(set.notices).toEqual([expect.stringMatching(/^row 1: 1 sample contains `<\/s>` as text/)]);
  });
});

describe("rows", () => {
  const chat = (...messages: unknown[]) => ({ messages });
  const user = { role: "user", content: "hi" };
  const bad: [name: string, row: unknown, code: string, message: string][] = [
    ["a string", "text", "SAMPLES_BAD_LINE", "received a string"],
    ["null", null, "SAMPLES_BAD_LINE", "received null"],
    ["no form", { question: "a", answer: "b" }, "SAMPLES_UNKNOWN_FORM", "received the fields `question`, `answer`"],
    ["no fields", {}, "SAMPLES_UNKNOWN_FORM", "received the fields none"],
    ["half a form", { prompt: "a" }, "SAMPLES_UNKNOWN_FORM", "`prompt` + `completion`, or `messages`, or"],
    [
      "two forms",
      { prompt: "a", completion: "b", text: "c" },
      "SAMPLES_TWO_FORMS",
      "`prompt` + `completion` and `text`",
    ],
    ["a number", { prompt: "a", completion: 3 }, "SAMPLES_BAD_ROW", "a string for `completion` but received a number"],
    ["chat as prompt", { prompt: [user], completion: "a" }, "SAMPLES_BAD_ROW", "Give a conversation as `messages`"],
    ["empty completion", { prompt: "a", completion: "" }, "SAMPLES_EMPTY_COMPLETION", "`completion` is empty"],
    ["empty text", { text: "" }, "SAMPLES_EMPTY_COMPLETION", "`text` is empty"],
    ["empty output", { instruction: "a", output: "" }, "SAMPLES_EMPTY_COMPLETION", "`output` is empty"],
    [
      "empty turn",
      chat(user, { role: "assistant", content: " " }),
      "SAMPLES_EMPTY_COMPLETION",
      "last assistant turn is empty",
    ],
    ["no turns", chat(), "SAMPLES_BAD_ROW", "Expected 1 to 10000 turns"],
    ["no answer", chat(user), "SAMPLES_NO_ASSISTANT", "No turn of `messages` is the assistant's"],
    [
      "tool role",
      chat(user, { role: "tool", content: "x" }),
      "SAMPLES_BAD_ROLE",
      'for `messages[1].role` but received "tool"',
    ],
    ["gpt in messages", chat({ role: "gpt", content: "x" }), "SAMPLES_BAD_ROLE", "one of system, user, assistant"],
    ["no role", chat({ content: "x" }), "SAMPLES_BAD_ROLE", "received nothing"],
    [
      "function role",
      { conversations: [{ from: "function_call", value: "x" }] },
      "SAMPLES_BAD_ROLE",
      "one of system, user, assistant, human, gpt",
    ],
    [
      "tool call",
      chat(user, { role: "assistant", content: "", tool_calls: [{}] }),
      "SAMPLES_UNSUPPORTED_CONTENT",
      "`messages[1].tool_calls` is a tool call",
    ],
    [
      "content parts",
      chat({ role: "user", content: [{ type: "text", text: "x" }] }),
      "SAMPLES_UNSUPPORTED_CONTENT",
      "`messages[0].content` but received an array",
    ],
    ["null content", chat({ role: "user", content: null }), "SAMPLES_BAD_ROW", "received null"],
    ["turn of text", chat("hi"), "SAMPLES_BAD_ROW", "received a string"],
    ["tools", { ...chat(user), tools: [{}] }, "SAMPLES_UNSUPPORTED_CONTENT", "`tools`"],
    ["system beside", { ...chat(user), system: "be" }, "SAMPLES_UNSUPPORTED_CONTENT", "as the first turn"],
    ["group object", { text: "abc", group: {} }, "SAMPLES_BAD_ROW", "for `group` but received an object"],
    ["group empty", { text: "abc", group: "" }, "SAMPLES_BAD_ROW", "received an empty string"],
    [
      "no template",
      chat(user, { role: "assistant", content: "x" }),
      "SAMPLES_NEED_TEMPLATE",
      "the model has none. Give `chatTemplate`",
    ],
    [
      "alpaca without template",
      { instruction: "a", output: "b" },
      "SAMPLES_NEED_TEMPLATE",
      "Or give `promptTemplate`, for example `alpaca`",
    ],
  ];
  it.each(bad)("%s: error with file and line", async (_, row, code, message) => {
    const path = await folder.write("row.jsonl", jsonl({ text: "fine" }, row));
    const error = await failure(readSamples(path, tokenizer));
    expect(error.message).toContain(message);
    expect(error.message.startsWith(`${path}, line 2: `)).toBe(true);
    expect(error).toMatchObject({ code, exitCode: 3, details: { file: path, line: 2 } });
  });

  it("ignores fields of the user's own", async () => {
    const { samples } = await readSamples([{ prompt: "Q", completion: "A", references: ["B"], input: 3 }], tokenizer);
    expect(wholeText(samples[0]!, tokenizer)).toBe("<s>QA");
  });

  it("keeps groups; a sample without one is a group of its own", async () => {
    const rows = [1, "1", "a", undefined, null, "4"].map((group, n) => ({ prompt: `${n}`, completion: "A", group }));
    const set = await readSamples(rows, tokenizer);
    expect(set.samples.map(({ group }) => group)).toEqual(["1", "1", "a", "3", "#4", "4"]);
    expect(set.groups).toBe(5);
  });
});

describe("Alpaca rows", () => {
  const rows = [
    { instruction: "Say {input}", input: "$& x", output: "A" },
    { instruction: "Go", input: "", output: "A" },
  ];
  const rest = "Write a response that appropriately completes the request.\n\n### Instruction:\n";

  it("become the Alpaca training text", async () => {
    const { samples, template } = await readSamples(rows, tokenizer, { promptTemplate: "alpaca" });
    expect(samples.map((sample) => wholeText(sample, tokenizer))).toEqual([
      `<s>Below is an instruction that describes a task, paired with an input that provides further context. ${rest}Say {input}\n\n### Input:\n$& x\n\n### Response:\nA`,
      `<s>Below is an instruction that describes a task. ${rest}Go\n\n### Response:\nA`,
    ]);
    expect(samples.map((sample) => scoredText(sample, tokenizer))).toEqual(["A", "A"]);
    expect(template).toBeNull();
  });

  it("fill a template of the user's own", async () => {
    const { samples } = await readSamples(rows, tokenizer, { promptTemplate: "{instruction}|{input}>" });
    expect(samples.map((sample) => wholeText(sample, tokenizer))).toEqual(["<s>Say {input}|$& x>A", "<s>Go|>A"]);
    const error = await failure(readSamples(rows, tokenizer, { promptTemplate: "{instruction}:" }));
    expect(error.message).toMatch(/^row 1: The row has an `input` but `promptTemplate` has no place for it/);
  });

  it("go through the chat template where there is one", async () => {
    const { samples } = await readSamples(rows, plain, { chatTemplate: "chatml" });
    expect(wholeText(samples[0]!, plain)).toBe(
      "<|im_start|>user\nSay {input}\n\n$& x<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
    );
    expect(scoredTexts(samples[1]!, plain)).toEqual(["A", "<|im_end|>"]);
  });
});

describe("checks of the set", () => {
  const rows = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} `, completion: "A".repeat(n + 1) }));

  it("leaves out long samples with a notice; an error where all are too long", async () => {
    const set = await readSamples(rows.slice(0, 9), tokenizer, { maxTokens: 5 });
    expect(set.samples.map(({ line }) => line)).toEqual([1, 2]);
    expect(set.notices).toEqual([
      "rows 3, 4, 5, 6, 7 and 2 more: 7 samples have more than 5 tokens and were left out.",
    ]);
    const error = await failure(readSamples(rows, new TestTokenizer({ addBos: true, trainedContext: 3 })));
    expect(error).toMatchObject({ code: "SAMPLES_ALL_TOO_LONG", details: { line: 1, tokens: 4, limit: 3 } });
    expect(error.message).toMatch(/^row 1: the sample has 4 tokens but at most 3 are allowed/);
  });

  it("names duplicates and a set of one", async () => {
    const set = await readSamples([rows[0], rows[1], rows[0], rows[0]], tokenizer);
    expect(set.samples).toHaveLength(4);
    expect(set.notices).toEqual([expect.stringMatching(/^rows 3, 4: 2 samples repeat an earlier one/)]);
    expect((await readSamples([rows[0]], tokenizer)).notices).toEqual([
      expect.stringContaining("only one sample is left"),
    ]);
  });

  it("picks the same rows for the same seed, in file order, each about as often", async () => {
    const picks = async (seed: number, limit = 10) =>
      (await readSamples(rows, tokenizer, { limit, seed })).samples.map(({ line }) => line);
    expect(await picks(1)).toEqual(await picks(1));
    expect(await picks(1)).not.toEqual(await picks(2));
    expect(await picks(0)).toEqual([2, 5, 7, 12, 19, 21, 24, 31, 34, 40]);
    expect(await picks(3, 40)).toEqual(rows.map((_, n) => n + 1));
    expect(await picks(3, 100)).toHaveLength(40);
    const counts = new Array<number>(41).fill(0);
    for (let seed = 0; seed < 200; seed++) for (const line of await picks(seed)) counts[line]! += 1;
    // Binomial(200, 1/4): mean 50, standard deviation 6.1; five of them either side.
    expect(Math.min(...counts.slice(1))).toBeGreaterThan(20);
    expect(Math.max(...counts)).toBeLessThan(80);
  });

  it("draws the numbers that mulberry32 draws elsewhere", () => {
    const next = mulberry32(0);
    expect([next(), next(), next()]).toEqual([1144304738, 1416247, 958946056]);
  });

  it("says which options had nothing to act on", async () => {
    const options = { chatTemplate: "chatml", promptTemplate: "alpaca" };
    expect((await readSamples(rows.slice(0, 2), tokenizer, options)).notices).toEqual([
      "samples: `promptTemplate` was not used; no row has `instruction` and `output`.",
      "samples: `chatTemplate` was not used; no row is a conversation.",
    ]);
  });

  it.each([
    [{ limit: 0 }, "an integer from 1"],
    [{ limit: 1.5 }, "an integer from 1"],
    [{ seed: -1 }, "an integer from 0"],
    [{ maxTokens: 1 }, "an integer from 2"],
    [{ score: "first" }, '"last" or "all"'],
    [{ eos: "yes" }, "true or false"],
    [{ chatTemplate: "nothing" }, "one of alpaca, chatml, gemma, llama2, llama3, mistral, phi3, vicuna, zephyr"],
    [{ chatTemplate: { source: "" } }, "a Jinja template"],
    [{ templateDate: "2024-02-30" }, "a date as YYYY-MM-DD"],
    [{ templateVariables: [1] }, "a JSON object"],
    [{ templateVariables: { a: 1n } }, "a JSON object"],
    [{ templateVariables: { messages: [] } }, "received `messages`"],
    [{ promptTemplate: "no place" }, "{instruction}"],
    [{ promptTemplate: "{instruction}{output}" }, "without {output}"],
    [{ colour: 1 }, 'received "colour"'],
  ])("refuses the option %o", async (options, message) => {
    const error = await failure(readSamples(rows, tokenizer, options as ReadSamplesOptions));
    expect(error).toMatchObject({ code: "SAMPLES_OPTION", exitCode: 2 });
    expect(error.message).toContain(message);
  });
});

it("shows a sample token by token", async () => {
  const { samples } = await readSamples([{ prompt: "Q\n\\", completion: "é\u001b", group: "g" }], tokenizer);
  const shown = renderSample(samples[0]!, tokenizer);
  expect(shown.tokens.map(({ text, scored }) => (scored ? `[${text}]` : text))).toEqual([
    "<s>",
    "Q",
    "\\n",
    "\\\\",
    "[\\xc3]",
    "[\\xa9]",
    "[\\x1b]",
  ]);
  expect(shown.tokens.map(({ control }) => control)).toEqual([true, false, false, false, false, false, false]);
  expect(shown).toMatchObject({ line: 1, group: "g", text: "<s>Q\n\\é\\x1b", scoredTokens: 3, promptTokens: 4 });
});
