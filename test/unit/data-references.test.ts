import { describe, expect, test } from "vitest";
import { withReferences } from "../../src/data/references.js";
import { readSamples } from "../../src/data/read-samples.js";
import { jsonl, useFolder } from "../support/data-files.js";
import { expectError } from "../support/expect-error.js";
import { TestTokenizer } from "../support/data-tokenizer.js";

const folder = useFolder();
const referencesOf = async (...rows: unknown[]) =>
  withReferences(await readSamples(rows, new TestTokenizer())).map(({ references }) => references);

describe("references of a sample", () => {
  test("the row's own list, one text, else the completion or the last assistant turn", async () => {
    const row = { prompt: "p", completion: " c" };
    expect(
      await referencesOf(
        { ...row, references: ["a", "b"] },
        { ...row, prompt: "q", references: "one" },
        { ...row, prompt: "r" },
        { ...row, prompt: "s", references: null },
      ),
    ).toEqual([["a", "b"], ["one"], [" c"], [" c"]]);
  });

  test("the row stays as given, the user's own fields included", async () => {
    const row = { prompt: "p", completion: "c", level: 3 };
    const [sample] = withReferences(await readSamples([row], new TestTokenizer()));
    expect(sample?.source).toEqual({ row, answer: "c" });
  });

  test("a row of plain text has none: the error names file and line", async () => {
    const path = await folder.write("text.jsonl", jsonl({ prompt: "p", completion: "c" }, { text: "only text" }));
    const set = await readSamples(path, new TestTokenizer());
    const error = expectError(() => withReferences(set), "SAMPLES_NO_REFERENCES", /text\.jsonl, line 2: Expected/);
    expect(error.details).toEqual({ file: path, line: 2 });
    expect(error.exitCode).toBe(3);
  });

  test.each([
    [[], /an empty list/],
    [["a", " "], /an empty text/],
    [["a", 3], /received/],
    [{ a: 1 }, /received/],
  ])("`references` of %j are refused, but only where answers are compared", async (references, message) => {
    const set = await readSamples([{ prompt: "p", completion: "c", references }], new TestTokenizer());
    const error = expectError(() => withReferences(set), "SAMPLES_BAD_REFERENCES", /^row 1: Expected texts for/);
    expect(error.message).toMatch(message);
  });
});
