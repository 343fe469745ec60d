import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { EvaluationResult } from "../../src/evaluation/result.js";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";

const folder = useFolder();
const FILES = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "12"];

describe("calibrate --objective kl", () => {
  it("measures likeness to the full adapter, says so first, and calls nothing better", async () => {
    const args = [...FILES, "--objective", "kl", "--in-sample", "--controls", "--margin", "0.1", "--json", "kl.json"];
    const { code, stdout } = await run(["calibrate", ...args], { cwd: folder.path });
    expect([0, 1]).toContain(code);
    const words = stdout.replaceAll(/\s+/g, " ");
    expect(words).toContain("It measures likeness to the full adapter, not quality");
    expect(words).toContain(
      "Likeness to the full adapter, not quality. In-sample: the adapter was trained on these samples.",
    );

    const result = await resultAt("kl.json");
    expect(result).toMatchObject({
      objective: "kl",
      objectiveScale: { higherIsBetter: false, unit: "nats per token" },
      inSample: true,
      gate: { passed: true },
      engine: { replay: "exact" },
    });
    const [base] = result.candidates;
    const full = result.candidates.find(({ id }) => id === "upto:12")!;
    expect(full.perSample).toEqual(new Array(12).fill(0));
    expect(result.candidates).toHaveLength(18);
    for (const { mean, verdict, retention } of result.candidates) {
      expect(mean).toBeGreaterThanOrEqual(0);
      expect(verdict).not.toBe("better");
      expect(retention!.mean).toBeCloseTo(1 - mean / base!.mean, 9);
    }
    // 1 for the full adapter to measure from, and what the plan foresees for the rest.
    expect(result.cost.passes).toBeGreaterThan(1 + 7.5 + 5);
  });

  it.each([
    [["--objective", "kl"], "nothing is more like the full adapter than itself"],
    [["--in-sample"], "nothing is called better"],
  ])("--goal quality with %j asks for what cannot be proven: exit 2", async (flags, reason) => {
    const { code, stdout, stderr } = await run(["calibrate", ...FILES, "--goal", "quality", ...flags]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(reason);
  });
});

/** What was written, which keeps to its published schema. */
const written = async (name: string) => {
  const value = JSON.parse(await readFile(join(folder.path, name), "utf8")) as object;
  expect(violations(value)).toEqual([]);
  return value;
};
const resultAt = async (name: string) => (await written(name)) as CalibrationResult;
const evaluationAt = async (name: string) => (await written(name)) as EvaluationResult;
const rowsOf = async (count: number) =>
  (await readFile(DEMO.samples, "utf8"))
    .split("\n")
    .slice(0, count)
    .map((line) => JSON.parse(line) as { prompt: string; completion: string; group: string });
const write = async (name: string, rows: readonly unknown[]) => {
  await writeFile(join(folder.path, name), rows.map((row) => JSON.stringify(row)).join("\n"));
};

describe("calibrate --objective rouge-l", () => {
  it("judges by what is written, on the metric's scale, with the losses beside", async () => {
    const args = [...FILES, "--objective", "rouge-l", "--margin", "0.5", "--keep-answers", "--answer-tokens", "32"];
    const { code, stdout, stderr } = await run(["calibrate", ...args, "--json", "r.json", "-o", "small.gguf"], {
      cwd: folder.path,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/13 candidates in \d+\.\d passes/);
    expect(stdout).toMatch(/cut +layers +rouge-l +.*NLL kept % +verdict/);
    expect(stdout.replaceAll(/\s+/g, " ")).toMatch(/NLL and rouge-l (agree on every|disagree beyond)/);

    const result = await resultAt("r.json");
    expect(result).toMatchObject({
      objective: "rouge-l",
      objectiveScale: { higherIsBetter: true, unit: "points of 1" },
      gate: { passed: true },
      output: { verified: true },
      data: { samples: 12 },
    });
    const [base] = result.candidates;
    const full = result.candidates.find(({ id }) => id === "upto:12")!;
    expect(full.mean).toBeGreaterThan(base!.mean + 0.5);
    for (const { perSample, answers, nll, mean, retention } of result.candidates) {
      expect(answers).toHaveLength(12);
      expect(answers!.every((text) => typeof text === "string")).toBe(true);
      expect(mean).toBeCloseTo(perSample.reduce<number>((sum, score) => sum + score!, 0) / 12, 9);
      expect(nll!.mean).toBeGreaterThan(0);
      expect(retention!.mean).toBeCloseTo((mean - base!.mean) / (full.mean - base!.mean), 9);
    }
    const { generation, tokensComputed } = result.cost;
    expect(generation!.draftsAccepted).toBeGreaterThan(0);
    expect(generation!.tokensWritten).toBeGreaterThan(generation!.steps);
    expect(tokensComputed).toBeGreaterThan(generation!.tokensComputed);

    // The losses are those of the objective nll, but for the packing.
    await run(["calibrate", ...FILES, "--json", "n.json"], { cwd: folder.path });
    const { candidates } = await resultAt("n.json");
    for (const [index, { id, mean }] of candidates.entries()) {
      expect(result.candidates[index]!.id).toBe(id);
      expect(result.candidates[index]!.nll!.mean).toBeCloseTo(mean, 3);
    }
    // What a candidate writes does not depend on who wrote before.
    const evaluation = ["evaluate", ...FILES, "--metric", "rouge-l", "--candidates", "upto:9", "--answer-tokens", "32"];
    await run([...evaluation, "--no-drafts", "--json", "e.json"], { cwd: folder.path });
    const alone = await evaluationAt("e.json");
    expect(alone.candidates[2]!.answers).toEqual(result.candidates.find(({ id }) => id === "upto:9")!.answers);
  });

  it("keeps answers out of the result unless asked, and says how many were cut", async () => {
    const args = [...FILES, "--limit", "8", "--objective", "f1", "--answer-tokens", "4", "--json", "f1.json"];
    const { code } = await run(["calibrate", ...args], { cwd: folder.path });
    expect([0, 1]).toContain(code);
    const { candidates, data } = await resultAt("f1.json");
    for (const candidate of candidates) expect(candidate).not.toHaveProperty("answers");
    expect(data.notices.join()).toMatch(
      /of \d+ answers did not end within 4 tokens and were judged as far as they went/,
    );
  });

  it.each([
    ["export default () => { throw new Error('oh'); };", 3, "./bad.mjs failed on line 1: oh"],
    ["export default () => '1';", 3, 'received the text "1"'],
    ["export default () => NaN;", 3, "received NaN"],
    ["export default 7;", 2, "as default export but received 7"],
  ])("a metric such as %j ends it before anything is scored: exit %i", async (source, exitCode, message) => {
    await writeFile(join(folder.path, "bad.mjs"), source);
    await write("few.jsonl", await rowsOf(3));
    const files = [DEMO.base, DEMO.adapter, "few.jsonl", "--threads", "1"];
    const { code, stdout, stderr } = await run(["calibrate", ...files, "--objective", "./bad.mjs"], {
      cwd: folder.path,
    });
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("Work:");
  });

  it("texts have no answer to judge: exit 3", async () => {
    await write("text.jsonl", [{ text: "one text" }, { text: "another", references: ["a"] }]);
    const files = [DEMO.base, DEMO.adapter, "text.jsonl", "--threads", "1"];
    const { code, stderr } = await run(["calibrate", ...files, "--objective", "exact"], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stderr).toContain("text.jsonl, line 1: Expected `references`, a `completion` or an assistant turn");
    const { stderr: unknown } = await run(["calibrate", ...files, "--objective", "rouge"], { cwd: folder.path });
    expect(unknown).toContain("Expected one of nll, kl, choice, exact");
  });
});

describe("calibrate --objective choice", () => {
  it("the right one of a row's choices must be the likeliest, as evaluate counts it", async () => {
    const rows = await rowsOf(8);
    const choices = rows.map(({ prompt, completion, group }, row) => ({
      ...{ prompt, group, answer: row % 3 },
      // Sentences about other places, in the adapter's own words.
      choices: [0, 1, 2].map((place) => (place === row % 3 ? completion : rows[(row + 3 + place) % 8]!.completion)),
    }));
    await write("choices.jsonl", choices);
    const files = [DEMO.base, DEMO.adapter, "choices.jsonl", "--threads", "1"];
    const args = [...files, "--objective", "choice", "--margin", "0.3", "--force", "--json", "c.json"];
    const { code, stdout } = await run(["calibrate", ...args], { cwd: folder.path });
    expect([0, 1]).toContain(code);
    expect(stdout).toContain("Objective choice: 1 where the right one");
    const result = await resultAt("c.json");
    expect(result).toMatchObject({ objective: "choice", data: { samples: 8 } });
    const full = result.candidates.find(({ id }) => id === "upto:12")!;
    expect(full.mean).toBeGreaterThan(0.9);
    for (const { perSample } of result.candidates) {
      for (const score of perSample) expect([0, 1 / 3, 1 / 2, 1]).toContain(score);
    }
    const evaluation = ["evaluate", ...files, "--metric", "choice", "--candidates", "upto:6", "--json", "ce.json"];
    expect((await run(evaluation, { cwd: folder.path })).code).toBe(0);
    const { candidates } = await evaluationAt("ce.json");
    for (const { id, scores } of candidates) {
      const calibrated = result.candidates.find((it) => it.id === id)!;
      expect(scores[0]!.mean).toBeCloseTo(calibrated.mean, 1);
    }
  });
});

describe("calibrate --objective kl on prompts alone", () => {
  it("needs no answers: the whole text is compared", async () => {
    const rows = await rowsOf(9);
    await write(
      "prompts.jsonl",
      rows.map(({ prompt }) => ({ prompt })),
    );
    const files = [DEMO.base, DEMO.adapter, "prompts.jsonl", "--threads", "1"];
    const args = ["--objective", "kl", "--margin", "0.2", "--json", "p.json"];
    const { code } = await run(["calibrate", ...files, ...args], { cwd: folder.path });
    expect([0, 1]).toContain(code);
    const result = await resultAt("p.json");
    expect(result.candidates.find(({ id }) => id === "upto:12")!.mean).toBe(0);
    expect(result.data.scoredTokens).toBeGreaterThan(20 * 9);
    const { code: refused, stderr } = await run(["calibrate", ...files], { cwd: folder.path });
    expect(refused).toBe(3);
    expect(stderr).toContain("Rows with only a `prompt` can be scored by `kl`");
  });
});
