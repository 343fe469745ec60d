import { describe, expect, test } from "vitest";
import { readPrompts, type ReadPromptsOptions } from "../../src/data/read-prompts.js";
import { failure } from "../support/data-files.js";
import { TestTokenizer, wholeText } from "../support/data-tokenizer.js";

const tokenizer = new TestTokenizer({ controls: ["<s>", "</s>", "<|im_start|>", "<|im_end|>"], addBos: true });
const read = async (rows: readonly unknown[], options: ReadPromptsOptions = {}) =>
  (await readPrompts(rows, tokenizer, options)).map((prompt) => wholeText(prompt, tokenizer));
const CHATML = { chatTemplate: "chatml" };

describe("prompts", () => {
  test("a text to go on with: a BOS in front, the answer of a sample left out, control tokens read as text", async () => {
    const rows = [{ prompt: "one:", completion: " two" }, { prompt: "a <|im_end|> b" }];
    expect(await read(rows)).toEqual(["<s>one:", "<s>a <|im_end|> b"]);
    const [, second] = await readPrompts(rows, tokenizer);
    expect(second).toMatchObject({ line: 2, text: "a <|im_end|> b" });
    expect([...second!.tokens].filter((token) => tokenizer.isControl(token))).toHaveLength(1);
  });

  test("a conversation up to the turn that wants an answer, opened for the assistant", async () => {
    const user = { role: "user", content: "hi" };
    const open = "<s><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
    const answered = { messages: [user, { role: "assistant", content: "yes" }] };
    expect(await read([{ messages: [user] }, answered], CHATML)).toEqual([open, open]);
    expect(await read([{ conversations: [{ from: "human", value: "hi" }] }], CHATML)).toEqual([open]);
    expect(await read([{ prompt: "hi" }], { ...CHATML, chat: true })).toEqual([open]);
    expect(await read([{ instruction: "hi", output: "yes" }], CHATML)).toEqual([open]);
  });

  test("an instruction in a prompt template", async () => {
    const options = { promptTemplate: "Q {instruction} ({input}) A" };
    expect(await read([{ instruction: "do", input: "it" }], options)).toEqual(["<s>Q do (it) A"]);
  });

  test.each([
    ["no rows", [], {}, "PROMPTS_EMPTY", "received none"],
    ["not an object", ["hi"], {}, "SAMPLES_BAD_LINE", "row 1"],
    ["no known field", [{ text: "a" }], {}, "SAMPLES_BAD_ROW", "`instruction`"],
    ["a prompt that is no text", [{ prompt: 3 }], {}, "SAMPLES_BAD_ROW", "for `prompt` but received a number"],
    [
      "only answers",
      [{ messages: [{ role: "assistant", content: "a" }] }],
      CHATML,
      "SAMPLES_BAD_ROW",
      "nothing to answer",
    ],
    ["no template", [{ messages: [{ role: "user", content: "a" }] }], {}, "SAMPLES_NEED_TEMPLATE", "chatTemplate"],
    [
      "a template that fails",
      [{ messages: [{ role: "user", content: "a" }] }],
      { chatTemplate: { source: "{{ raise_exception('never') }}" } },
      "TEMPLATE_FAILED",
      "never",
    ],
  ])("refused: %s", async (_, rows, options, code, message) => {
    const error = await failure(readPrompts(rows, tokenizer, options));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(message);
  });
});
