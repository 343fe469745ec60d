import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";

const folder = useFolder();
const PROMPT =
  "Data: name: The Royal Owl | children: no | kind: bar | food: pasta | price: low | town: Millbrook\\nText:";
const generate = (...args: string[]) =>
  run(["generate", DEMO.base, DEMO.adapter, ...args, "--threads", "1"], { cwd: folder.path });

describe("generate", () => {
  it("one prompt: base and full adapter, one under the other", async () => {
    const { code, stdout, stderr } = await generate("--prompt", PROMPT);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^base\n[^]*\n\nfull\n The Royal Owl is a cheap bar in Millbrook .*\.\n\n$/);
  });

  it("prompts of a file of samples, with named candidates, as JSON; what was cut off is said", async () => {
    const args = ["--prompts", DEMO.samples, "--candidates", "full,without:2,3*1.2", "--max-tokens", "6"];
    const { code, stdout } = await generate(...args, "--json", "answers.json");
    expect(code).toBe(0);
    expect(stdout).toContain("Prompt 120\nData: ");
    expect(stdout).toContain("cut off: full 120 of 120, without:2-3*1.2 120 of 120 (--max-tokens 6");
    const result = JSON.parse(await readFile(join(folder.path, "answers.json"), "utf8")) as {
      readonly candidates: readonly { readonly id: string; readonly answers: readonly unknown[] }[];
    };
    expect(result).toMatchObject({
      ...{ schema: "lora-boundary/answers@1", cost: { tokensWritten: 1440 } },
      ...{ model: { path: DEMO.base }, adapter: { path: DEMO.adapter } },
    });
    expect(violations(result)).toEqual([]);
    expect(result.candidates.map(({ id, answers }) => [id, answers.length])).toEqual([
      ["full", 120],
      ["without:2-3*1.2", 120],
    ]);
  });

  it.each([
    ["no prompt", [], 2, "Expected one of `--prompt TEXT`, `--prompts FILE` and `-` (stdin) but received none"],
    ["two", ["--prompt", "a", "-"], 2, "received --prompt and -"],
    ["an unknown candidate", ["--prompt", "a", "--candidates", "upto:99"], 2, "received `upto:99`"],
    ["a chat without a template", ["--prompt", "a", "--chat"], 3, "needs a chat template"],
    ["a prompt longer than the context", ["--prompt", "a", "--context", "2"], 3, "the context has 2"],
    ["a file that is not there", ["--prompts", "nope.jsonl"], 3, "nope.jsonl"],
  ])("refused: %s", async (_, args, exitCode, message) => {
    const { code, stdout, stderr } = await generate(...args);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
  });
});
