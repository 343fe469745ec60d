import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MAX_LINE_BYTES } from "../../src/data/read-rows.js";
import { readSamples } from "../../src/data/read-samples.js";
import { mulberry32 } from "../../src/data/shuffle.js";
import { CancelledError, InputError, LoraBoundaryError, UsageError } from "../../src/errors.js";
import { failure, jsonl, useFolder } from "../support/data-files.js";
import { scoredText, TestTokenizer, wholeText } from "../support/data-tokenizer.js";

const folder = useFolder();
const tokenizer = new TestTokenizer({ addBos: true });
const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
const row = (n: number) => ({ prompt: `p${n}`, completion: ` c${n}` });

describe("files", () => {
  it("reads JSONL with a byte order mark, Windows line ends, blank lines and no newline at the end", async () => {
    const content = `\ufeff${JSON.stringify(row(1))}\r\n\r\n  \t\r\n${JSON.stringify(row(2))}\r\n${JSON.stringify(row(3))}`;
    const path = await folder.write("windows.jsonl", content);
    const set = await readSamples(path, tokenizer);
    expect(set.samples.map(({ line }) => line)).toEqual([1, 4, 5]);
    expect(set.samples.map((sample) => wholeText(sample, tokenizer))).toEqual(["<s>p1 c1", "<s>p2 c2", "<s>p3 c3"]);
    expect(set.sha256).toBe(sha256(content));
    expect(set).toMatchObject({
      path,
      scoredTokens: 9,
      promptTokens: 9,
      groups: 3,
      template: null,
      seed: 0,
      notices: [],
    });
  });

  it("reads a JSON array, also pretty-printed and after white space, and counts rows", async () => {
    const content = "\ufeff \n" + JSON.stringify([row(1), row(2)], null, 2);
    const set = await readSamples(await folder.write("array.json", content), tokenizer);
    expect(set.samples.map(({ line }) => line)).toEqual([1, 2]);
    expect(set.sha256).toBe(sha256(content));
    const path = await folder.write("array-bad.json", JSON.stringify([row(1), { prompt: "p" }]));
    expect((await failure(readSamples(path, tokenizer))).message).toContain(`${path}, row 2: Expected a row with`);
  });

  it("reads rows in memory; their hash is that of their JSON", async () => {
    const rows = [row(1), row(2)];
    const set = await readSamples(rows, tokenizer);
    expect(set.path).toBeNull();
    expect(set.sha256).toBe(sha256(JSON.stringify(rows)));
    expect((await failure(readSamples([row(1), 7], tokenizer))).message).toMatch(/^row 2: Expected an object/);
  });

  it("finds lines that cross the borders of its reading buffer, in files of any size", async () => {
    const rows = Array.from({ length: 40 }, (_, n) => ({ prompt: "é".repeat(n * 997), completion: `${n}` }));
    const path = await folder.write("long.jsonl", jsonl(...rows));
    const set = await readSamples(path, tokenizer, { maxTokens: 2 ** 20 });
    expect(set.samples.map((sample) => scoredText(sample, tokenizer))).toEqual(rows.map((_, n) => `${n}`));
    expect(set.samples[39]!.tokens.length).toBe(1 + 2 * 39 * 997 + 2);
  });

  it("reads 10,000 rows in a few seconds and lets the event loop run meanwhile", async () => {
    const rows = Array.from({ length: 10_000 }, (_, n) => ({ prompt: `question ${n}: `, completion: `answer ${n}` }));
    const path = await folder.write("many.jsonl", jsonl(...rows));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const start = performance.now();
    const set = await readSamples(path, tokenizer);
    clearInterval(timer);
    expect(set.samples.length).toBe(10_000);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(ticks).toBeGreaterThan(3);
  });
});

describe("bad files", () => {
  const cases: [name: string, content: string | Uint8Array, code: string, message: RegExp][] = [
    ["empty.jsonl", "", "SAMPLES_EMPTY", /Expected at least one sample in .*empty\.jsonl/],
    ["blank.jsonl", "\n \n\r\n", "SAMPLES_EMPTY", /at least one sample/],
    ["none.json", "[]", "SAMPLES_EMPTY", /at least one sample/],
    ["model.gguf", "GGUF\x03\0\0\0", "SAMPLES_WRONG_FILE", /received a GGUF file.*order of arguments/],
    [
      "lfs.jsonl",
      "version https://git-lfs.github.com/spec/v1\n",
      "SAMPLES_WRONG_FILE",
      /Git LFS pointer.*git lfs pull/,
    ],
    ["utf16.jsonl", Buffer.from("\ufeff{}", "utf16le"), "SAMPLES_WRONG_FILE", /UTF-16.*UTF-8/],
    ["data.parquet", "PAR1....", "SAMPLES_WRONG_FILE", /Parquet/],
    ["data.gz", Uint8Array.of(0x1f, 0x8b, 8, 0), "SAMPLES_WRONG_FILE", /gzip/],
    [
      "latin1.jsonl",
      Buffer.concat([Buffer.from(jsonl(row(1))), Uint8Array.of(0x7b, 0xe9, 0x7d)]),
      "SAMPLES_BAD_LINE",
      /latin1\.jsonl, line 2: Expected UTF-8/,
    ],
    ["cut.json", "[\n{},\n", "SAMPLES_BAD_LINE", /cut\.json, line 3, column 1: .*Unexpected end/],
    [
      "comma.json",
      '[\n  {"text": "a"}\n  {"text": "b"}\n]',
      "SAMPLES_BAD_LINE",
      /comma\.json, line 3, column 3: .*malformed.*: {3}\{"text": "b"\}/,
    ],
  ];
  it.each(cases)("%s", async (name, content, code, message) => {
    const error = await failure(readSamples(await folder.write(name, content), tokenizer));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ code, exitCode: 3 });
  });

  it("missing file, folder, wrong source", async () => {
    expect(await failure(readSamples(join(folder.path, "nothing.jsonl"), tokenizer))).toMatchObject({
      code: "SAMPLES_NOT_FOUND",
      exitCode: 3,
    });
    const error = await failure(readSamples(folder.path, tokenizer));
    expect(error.code).toBe("SAMPLES_UNREADABLE");
    expect(error.message).toContain("it is a folder");
    for (const source of ["", "a\0b", undefined, 7] as string[]) {
      expect(await failure(readSamples(source, tokenizer))).toBeInstanceOf(UsageError);
    }
  });

  it("names line, column and the start of a malformed line, controls escaped, and counts further ones", async () => {
    const bad = '{"prompt": "a", \u001b[31m';
    const path = await folder.write("bad.jsonl", jsonl(row(1)) + `\n${bad}\nNaN\n${jsonl(row(2), [1])}`);
    const error = await failure(readSamples(path, tokenizer));
    expect(error.code).toBe("SAMPLES_BAD_LINE");
    expect(error.message).toBe(
      `${path}, line 3: Expected one JSON object per line but this line is not JSON ` +
        `(Expected double-quoted property name, column 17): {"prompt": "a", \\x1b[31m 2 more lines are bad.`,
    );
    expect(error.details).toEqual({ file: path, line: 3, column: 17, furtherBad: 2 });
  });

  it("stops counting bad lines at a cap and cuts a long line", async () => {
    const path = await folder.write("csv.jsonl", "prompt,completion,\u202e".repeat(20).concat("\n").repeat(3000));
    const error = await failure(readSamples(path, tokenizer));
    expect(error.message).toMatch(/line 1: .*\\u\{202e\}.*\.\.\. At least 1000 more lines are bad\.$/);
    expect(error.message.length).toBeLessThan(500);
  });

  it("refuses a line beyond the limit", async () => {
    const path = await folder.write("endless.jsonl", jsonl(row(1)) + "x".repeat(MAX_LINE_BYTES + 1));
    const error = await failure(readSamples(path, tokenizer));
    expect(error.code).toBe("SAMPLES_LINE_TOO_LONG");
    expect(error.message).toContain(`line 2: Expected a line of at most ${MAX_LINE_BYTES} bytes`);
  });

  it("is cancelled before and while it works", async () => {
    expect(await failure(readSamples([row(1)], tokenizer, { signal: AbortSignal.abort() }))).toBeInstanceOf(
      CancelledError,
    );
    const rows = Array.from({ length: 50_000 }, (_, n) => row(n));
    const path = await folder.write("cancel.jsonl", jsonl(...rows));
    for (const source of [path, rows]) {
      const error = await failure(readSamples(source, tokenizer, { signal: AbortSignal.timeout(30) }));
      expect(error).toMatchObject({ code: "CANCELLED", exitCode: 130 });
    }
  });
});

it("never fails with anything but its own errors: 2,000 random mutations", async () => {
  const chat = {
    messages: [
      { role: "user", content: "hi" },
      { role: "assistant", content: "hello <|im_end|>" },
    ],
  };
  const share = {
    conversations: [
      { from: "human", value: "hi" },
      { from: "gpt", value: "hé 😀" },
    ],
    group: 3,
  };
  const alpaca = { instruction: "do", input: "it", output: "done", references: ["x"] };
  const seed = Buffer.from(jsonl(row(1), chat, share, alpaca, { text: "plain" }));
  const next = mulberry32(4);
  const pick = (below: number) => Math.floor((next() / 2 ** 32) * below);
  const pieces = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "\n",
    "\r",
    "\0",
    "\\u",
    "\ud800",
    "content",
    "role",
    "system",
    "1e999",
  ];
  const model = new TestTokenizer({ addBos: true });
  let read = 0;
  for (let round = 0; round < 2000; round++) {
    let bytes: Buffer = Buffer.from(seed);
    for (let edits = 1 + pick(3); edits > 0; edits--) {
      const at = pick(bytes.length);
      const kind = pick(4);
      if (kind === 0) bytes[at] = pick(256);
      else if (kind === 1) bytes = bytes.subarray(0, at);
      else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + pick(20))]);
      else
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(pieces[pick(pieces.length)]!), bytes.subarray(at)]);
      if (bytes.length === 0) break;
    }
    const path = await folder.write("fuzz.jsonl", bytes);
    try {
      const set = await readSamples(path, model, { chatTemplate: "chatml", score: round % 2 === 0 ? "all" : "last" });
      expect(set.samples.every(({ tokens, scored }) => tokens.length === scored.length && scored[0] === 0)).toBe(true);
      read += 1;
    } catch (error) {
      if (!(error instanceof LoraBoundaryError)) throw error;
    }
  }
  expect(read).toBeGreaterThan(50);
});
