import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { chatTemplateNames, namedTemplate } from "../../src/data/named-templates.js";
import { readSamples } from "../../src/data/read-samples.js";
import type { ReadSamplesOptions } from "../../src/data/options.js";
import { failure } from "../support/data-files.js";
import { scoredText, scoredTexts, TestTokenizer, wholeText } from "../support/data-tokenizer.js";

const controls = [
  "<s>",
  "</s>",
  "<|im_start|>",
  "<|im_end|>",
  "<|start_header_id|>",
  "<|end_header_id|>",
  "<|eot_id|>",
  "<start_of_turn>",
  "<end_of_turn>",
  "<|user|>",
  "<|assistant|>",
  "<|system|>",
  "<|end|>",
];
const tokenizer = new TestTokenizer({ controls, addBos: true });
const spm = new TestTokenizer({ controls, addBos: true, dummyPrefix: true });

const turn = (role: string, content: string) => ({ role, content });
const row = (...contents: string[]) => ({
  messages: contents.map((text, n) => turn(n % 2 ? "assistant" : "user", text)),
});
const system = { messages: [turn("system", "Be brief"), ...row("hi", "yes", "and", "no").messages] };

async function read(rows: readonly unknown[], options: ReadSamplesOptions = {}, model = tokenizer) {
  const set = await readSamples(rows, model, options);
  return {
    set,
    texts: set.samples.map((sample) => wholeText(sample, model)),
    scored: set.samples.map((sample) => scoredText(sample, model)),
  };
}

/** A template as a model would bring it. */
const custom = (source: string, name = "custom.jinja") => ({ chatTemplate: { source, name } });

const alpacaSystem =
  "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
const NAMED: Record<string, { text: string; scored: string; all: string }> = {
  chatml: {
    text: "<s><|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\nno<|im_end|>\n",
    scored: "no<|im_end|>",
    all: "yes<|im_end|>no<|im_end|>",
  },
  llama2: {
    text: "<s>[INST] <<SYS>>\nBe brief\n<</SYS>>\n\nhi [/INST] yes </s><s>[INST] and [/INST] no </s>",
    scored: " no </s>",
    all: " yes </s> no </s>",
  },
  llama3: {
    text: "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nyes<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nand<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nno<|eot_id|>",
    scored: "no<|eot_id|>",
    all: "yes<|eot_id|>no<|eot_id|>",
  },
  mistral: {
    text: "<s>[INST] Be brief\n\nhi [/INST]yes</s>[INST] and [/INST]no</s>",
    scored: "no</s>",
    all: "yes</s>no</s>",
  },
  gemma: {
    text: "<s><start_of_turn>user\nBe brief\n\nhi<end_of_turn>\n<start_of_turn>model\nyes<end_of_turn>\n<start_of_turn>user\nand<end_of_turn>\n<start_of_turn>model\nno<end_of_turn>\n",
    scored: "no<end_of_turn>",
    all: "yes<end_of_turn>no<end_of_turn>",
  },
  phi3: {
    text: "<s><|system|>\nBe brief<|end|>\n<|user|>\nhi<|end|>\n<|assistant|>\nyes<|end|>\n<|user|>\nand<|end|>\n<|assistant|>\nno<|end|>\n</s>",
    scored: "no<|end|>",
    all: "yes<|end|>no<|end|>",
  },
  zephyr: {
    text: "<s><|system|>\nBe brief</s>\n<|user|>\nhi</s>\n<|assistant|>\nyes</s>\n<|user|>\nand</s>\n<|assistant|>\nno</s>\n",
    scored: "no</s>",
    all: "yes</s>no</s>",
  },
  alpaca: {
    text: "<s>Be brief\n\n### Instruction:\nhi\n\n### Response:\nyes</s>\n\n### Instruction:\nand\n\n### Response:\nno</s>\n\n",
    scored: "no</s>",
    all: "yes</s>no</s>",
  },
  vicuna: {
    text: "<s>Be brief USER: hi ASSISTANT: yes</s>USER: and ASSISTANT: no</s>",
    scored: " no</s>",
    all: " yes</s> no</s>",
  },
};

describe("named templates", () => {
  it("are all tested here", () => {
    expect(Object.keys(NAMED).sort()).toEqual(chatTemplateNames);
  });

  it.each(Object.entries(NAMED))("%s", async (name, { text, scored, all }) => {
    const last = await read([system], { chatTemplate: name });
    expect(last.texts).toEqual([text]);
    expect(last.scored).toEqual([scored]);
    expect(last.set.notices.filter((notice) => !notice.includes("only one sample"))).toEqual([]);
    expect((await read([system], { chatTemplate: name, score: "all" })).scored).toEqual([all]);
    expect(last.set.template).toEqual({
      source: "name",
      sha256: createHash("sha256").update(namedTemplate(name)!).digest("hex"),
      variables: {},
      date: "2024-07-26",
    });
  });

  it.each(chatTemplateNames)("%s through a tokenizer that adds spaces scores the same words", async (name) => {
    const { scored, set } = await read([system], { chatTemplate: name, score: "all" }, spm);
    const compact = (text: string) => text.replaceAll(/\s/g, "");
    expect(scored.map(compact)).toEqual([compact(NAMED[name]!.all)]);
    expect(set.notices.some((notice) => notice.includes("separately"))).toBe(false);
  });

  it("have a default system text in alpaca and vicuna", async () => {
    const { texts } = await read([row("hi", "yes")], { chatTemplate: "alpaca" });
    expect(texts).toEqual([`<s>${alpacaSystem}\n\n### Instruction:\nhi\n\n### Response:\nyes</s>\n\n`]);
    expect((await read([row("hi", "yes")], { chatTemplate: "vicuna" })).texts[0]).toMatch(
      /^<s>A chat between .*\. USER: hi /,
    );
  });

  it("give exact tokens and masks", async () => {
    const { set } = await read([row("a", "b")], { chatTemplate: "mistral" });
    expect([...set.samples[0]!.tokens]).toEqual(tokenizer.ids("<s>", ...Array.from("[INST] a [/INST]b"), "</s>"));
    expect([...set.samples[0]!.scored]).toEqual([...new Array<number>(17).fill(0), 1, 1]);
    expect(set).toMatchObject({ scoredTokens: 2, promptTokens: 17 });
  });
});

describe("where a turn is", () => {
  const open = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
  const loop = (body: string) => `{% for m in messages %}${body}{% endfor %}`;
  const plainTurn = "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}";

  it("is after a header that the template writes without being asked", async () => {
    const { scored } = await read([row("hi", "yes", "more", "no")], { ...custom(loop(plainTurn)), score: "all" });
    expect(scored).toEqual(["yes<|im_end|>no<|im_end|>"]);
  });

  it("is found where content is trimmed, repeated, or part of the markup", async () => {
    const trimmed = custom(loop("{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}") + open);
    const rows = [row("yes", "  yes\n"), row("a", "assistant"), row("im_end", "im_end"), row("u", "<|im_end|>x")];
    expect((await read(rows, trimmed)).scored).toEqual([
      "yes<|im_end|>",
      "assistant<|im_end|>",
      "im_end<|im_end|>",
      "<|im_end|>x<|im_end|>",
    ]);
  });

  it("includes an empty thinking block that only the answer's render has", async () => {
    const body =
      "{{ '<|im_start|>' + m.role + '\n' + ('<think>\n\n</think>\n\n' if loop.last and m.role == 'assistant' else '') + m.content + '<|im_end|>\n' }}";
    expect((await read([row("hi", "yes")], custom(loop(body) + open))).scored).toEqual([
      "<think>\n\n</think>\n\nyes<|im_end|>",
    ]);
  });

  it("holds the reasoning of the last turn where the template drops that of earlier ones", async () => {
    const body = `{% set c = m.content if loop.last else m.content.split('</think>')[-1] %}{{ '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}`;
    const rows = [row("hi", "<think>a</think>yes", "and", "<think>b</think>no")];
    expect((await read(rows, custom(loop(body) + open))).scored).toEqual(["<think>b</think>no<|im_end|>"]);
    expect((await read(rows, { ...custom(loop(body) + open), score: "all" })).scored).toEqual([
      "yes<|im_end|><think>b</think>no<|im_end|>",
    ]);
  });

  it("falls back on the content where the generation prompt is not what the answer starts with", async () => {
    const thinking =
      loop(plainTurn) + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}";
    expect((await read([row("hi", "yes")], custom(thinking))).scored).toEqual(["yes<|im_end|>"]);
  });

  it("works for a conversation that the assistant opens", async () => {
    const rows = [{ messages: [turn("assistant", "welcome")] }];
    expect((await read(rows, { chatTemplate: "chatml" })).scored).toEqual(["welcome<|im_end|>"]);
  });

  it("ends before the next turn's header where the template has no end of turn, with a notice", async () => {
    const { scored, set } = await read([row("hi", "yes", "and", "no")], {
      ...custom(
        loop("{{ '<|' + m.role + '|>' + m.content + '\n' }}") +
          "{% if add_generation_prompt %}<|assistant|>{% endif %}",
      ),
      score: "all",
    });
    expect(scored).toEqual(["yesno"]);
    expect(set.notices[0]).toMatch(/^row 1: in 1 sample the chat template writes no end-of-turn token/);
  });

  it("is an error where it is unclear or empty", async () => {
    const upper = await failure(read([row("yes", "yes")], custom(loop("{{ m.role + m.content | upper }}"))));
    expect(upper.code).toBe("SAMPLES_AMBIGUOUS_TURN");
    expect(upper.message).toMatch(/^row 1: The chat template changes turn 2 so that its place .*custom\.jinja/);
    const dropped = await failure(
      read([row("hi", "yes")], custom(loop("{{ m.content if m.role == 'user' else '<|im_end|>' }}"))),
    );
    expect(dropped.code).toMatch(/^SAMPLES_(AMBIGUOUS_TURN|EMPTY_COMPLETION)$/);
    const empty = await failure(read([row("hi", "", "and", "no")], { chatTemplate: "chatml", score: "all" }));
    expect(empty).toMatchObject({ code: "SAMPLES_EMPTY_COMPLETION" });
    expect(empty.message).toContain("row 1: Turn 2 is scored but empty.");
  });

  it("is not moved by white space that control tokens swallow", async () => {
    const strips = new TestTokenizer({
      controls,
      addBos: true,
      dummyPrefix: true,
      stripsAfter: ["<|im_end|>", "<|im_start|>"],
    });
    const { scored } = await read(
      [row("hi there", "yes  x", "and", "no")],
      { chatTemplate: "chatml", score: "all" },
      strips,
    );
    expect(scored).toEqual(["yes  x<|im_end|>no<|im_end|>"]);
  });
});

describe("conversations", () => {
  it("reads ShareGPT, maps its roles, leaves out what comes after the last answer", async () => {
    const conversations = [
      { from: "system", value: "S" },
      { from: "human", value: "Q" },
      { from: "gpt", value: "A" },
      { from: "human", value: "bye" },
    ];
    const { texts, scored, set } = await read([{ conversations, id: "x" }], { chatTemplate: "chatml" });
    expect(texts).toEqual([
      "<s><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
    ]);
    expect(scored).toEqual(["A<|im_end|>"]);
    expect(set.notices[0]).toMatch(/^row 1: 1 conversation goes on after the last assistant turn/);
  });

  it("uses the model's own template and writes one BOS, whoever asks for it", async () => {
    for (const [source, addBos, count] of [
      ["{{ bos_token }}", true, 1],
      ["", true, 1],
      ["{{ bos_token }}", false, 1],
      ["", false, 0],
    ] as const) {
      const model = new TestTokenizer({ controls, addBos, chatTemplate: source + namedTemplate("chatml")! });
      const set = await readSamples([row("hi", "yes")], model);
      expect([...set.samples[0]!.tokens].filter((token) => token === model.bos)).toHaveLength(count);
      expect(set.template).toMatchObject({ source: "model" });
    }
  });

  it("passes variables, further fields and a fixed clock", async () => {
    const source =
      "{{ strftime_now('%d %b %Y, %A %-d %B %H:%M') }} {{ style }} {{ messages[0].name }} {{ tools is none }}{% for m in messages %}{{ m.content }}{% endfor %}</s>";
    const rows = [{ messages: [{ ...turn("user", "hi"), name: "Ann" }, turn("assistant", "yes")] }];
    const options = { ...custom(source), templateVariables: { style: "dry" } };
    const { texts, set } = await read(rows, options);
    expect(texts).toEqual(["<s>26 Jul 2024, Friday 26 July 00:00 dry Ann truehiyes</s>"]);
    expect(set.template).toMatchObject({ source: "file", variables: { style: "dry" }, date: "2024-07-26" });
    expect((await read(rows, { ...options, templateDate: "2025-01-02" })).texts[0]).toMatch(
      /^<s>02 Jan 2025, Thursday 2 January/,
    );
  });

  it("names the line and the template's own words where it fails", async () => {
    const odd = { messages: [turn("user", "a"), turn("user", "b"), turn("assistant", "c")] };
    const refused = await failure(read([row("a", "b"), odd], { chatTemplate: "llama2" }));
    expect(refused).toMatchObject({ code: "TEMPLATE_FAILED", exitCode: 3, details: { line: 2 } });
    expect(refused.message).toBe(
      "row 2: the template refuses the conversation: Expected the roles user and assistant in turn, after at most one system message. (chat template: llama2)",
    );
    for (const source of [
      "{{ nothing() }}",
      "{% for i in range(1000000000) %}{% endfor %}",
      "{{ strftime_now('%Q') }}",
      "{{ 1 | nofilter }}",
    ]) {
      expect((await failure(read([row("a", "b")], custom(source)))).code).toBe("TEMPLATE_FAILED");
    }
    const recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    expect((await failure(read([row("a", "b")], custom(recursive)))).code).toBe("TEMPLATE_FAILED");
  });

  it.each(["{% for %}", "{{ 'a }}", "{% if x %}", "{{ x", " ".repeat(300_000)])(
    "refuses a broken template (%#)",
    async (source) => {
      const error = await failure(read([row("a", "b")], custom(source)));
      expect(error).toMatchObject({ code: "TEMPLATE_SYNTAX", exitCode: 3 });
      expect(error.message).toMatch(/^The chat template custom\.jinja is not a valid template: /);
    },
  );

  it("scores the end of turn as one token", async () => {
    const { samples } = await readSamples([row("hi", "yes")], tokenizer, { chatTemplate: "chatml" });
    expect(scoredTexts(samples[0]!, tokenizer)).toEqual(["y", "e", "s", "<|im_end|>"]);
  });

  it("says that an EOS is not appended to templated rows", async () => {
    const { scored, set } = await read([row("hi", "yes"), row("hi", "no")], { chatTemplate: "chatml", eos: true });
    expect(scored).toEqual(["yes<|im_end|>", "no<|im_end|>"]);
    expect(set.notices).toEqual(["samples: `eos` was not used; a chat template writes its own end of turn."]);
  });
});
