import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { EvaluationResult } from "../../src/evaluation/result.js";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, ended, run, start } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";

const folder = useFolder();
const FILES = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1"];
const CALIBRATE = ["calibrate", ...FILES, "--limit", "10", "--margin", "0.5", "--keep-answers", "--answer-tokens", "4"];
const inFolder = (args: readonly string[]) => run(args, { cwd: folder.path });
const read = async <Result>(name: string) => JSON.parse(await readFile(join(folder.path, name), "utf8")) as Result;
const bytesOf = (name: string) =>
  stat(join(folder.path, name)).then(
    ({ size }) => size,
    () => 0,
  );
const batchesIn = async (journal: string) =>
  (await readFile(join(folder.path, journal), "utf8")).split('"answers":[').length - 1;

/** What of a result does not tell when and how it was made. */
async function lasting(name: string) {
  const { createdAt, command, cost, ...rest } = await read<CalibrationResult>(name);
  expect([typeof createdAt, command[0]]).toEqual(["string", "lora-boundary"]);
  return { ...rest, cost: { ...cost, seconds: 0, generation: { ...cost.generation, seconds: 0 } } };
}

/** A metric that scores lengths, and at its `call`-th call does something else. */
const metricThat = (call: number, act: string) =>
  `let calls = 0; export default (answer) => { calls += 1; if (calls === ${call}) { ${act} } return answer.length; };`;
const STOPS = 'process.kill(process.pid, "SIGINT");';

describe("a search by answers that dies", () => {
  it("by kill -9 in the first look, in the answers and near the end, resumed gives the same result", async () => {
    const args = [...CALIBRATE, "--objective", "rouge-l"];
    expect(await inFolder([...args, "--json", "whole.json"])).toMatchObject({ code: 0 });
    const whole = await bytesOf("whole.json.journal");
    const resume = [...args, "--json", "killed.json", "--resume"];
    for (const share of [0.2, 0.5, 0.9]) {
      const child = start(resume, { cwd: folder.path });
      const end = ended(child);
      while (child.exitCode === null && (await bytesOf("killed.json.journal")) < share * whole) await wait(5);
      child.kill("SIGKILL");
      expect((await end).signal).toBe("SIGKILL");
    }
    const written = await batchesIn("killed.json.journal");
    const { code, stderr } = await inFolder(resume);
    expect(code).toBe(0);
    expect(stderr).toMatch(/26 finished scores and \d+ answers are taken from it/);
    expect(await lasting("killed.json")).toEqual(await lasting("whole.json"));
    expect(written).toBeGreaterThan(13);
    expect(await batchesIn("killed.json.journal")).toBe(26);

    const longer = await inFolder([...resume, "--answer-tokens", "5"]);
    expect(longer).toMatchObject({ code: 3, stdout: "" });
    expect(longer.stderr).toContain("another run: tokens of an answer (--answer-tokens) (4 then, 5 now)");
    const stopped = await inFolder([...resume, "--stop", "the"]);
    expect(stopped).toMatchObject({ code: 3, stdout: "" });
    expect(stopped.stderr).toContain('texts that end an answer (--stop) (none then, ["the"] now)');
  });

  it("by a metric that fails midway: mended, it scores what was written; Ctrl-C keeps it as well", async () => {
    const args = [...CALIBRATE, "--objective", "./mine.mjs", "--json", "mine.json"];
    // 20 calls before anything is written, then 5 for each of 26 batches of answers.
    await writeFile(join(folder.path, "mine.mjs"), metricThat(20 + 5 * 3 + 2, "return '1';"));
    const failed = await inFolder(args);
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain("finite number from the metric ./mine.mjs on line");
    expect(failed.stderr).toContain("Finished work is kept in mine.json.journal: go on with --resume.");
    expect(await batchesIn("mine.json.journal")).toBe(4);

    // The second look at 10 samples would be whole after 130 scores.
    await writeFile(join(folder.path, "mine.mjs"), metricThat(20 + 5 * 8, STOPS));
    const stopped = await inFolder([...args, "--resume"]);
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toMatch(
      /The metric is another one \(\.\/mine\.mjs [0-9a-f]{12} then, \.\/mine\.mjs [0-9a-f]{12} now\)/,
    );
    expect(stopped.stderr).toContain("Finished work is kept in mine.json.journal: go on with --resume.");
    expect(await batchesIn("mine.json.journal")).toBe(8);

    await writeFile(join(folder.path, "mine.mjs"), metricThat(0, ""));
    expect((await inFolder([...args, "--resume"])).code).toBeLessThan(2);
    const fresh = [...CALIBRATE, "--objective", "./mine.mjs", "--json", "fresh.json", "--no-journal"];
    await inFolder(fresh);
    expect(await lasting("mine.json")).toEqual(await lasting("fresh.json"));
  });
});

describe("what was written until Ctrl-C", () => {
  const EVALUATE = ["evaluate", ...FILES, "--limit", "12", "--answer-tokens", "4", "--sequences", "2"];

  it.each([
    ["Ctrl-C", STOPS, 130, "cancelled"],
    ["a metric that fails", "throw new Error('oh');", 3, "failed"],
  ])("evaluate: %s leaves the comparison on the samples that all have answered", async (_, act, exitCode, cause) => {
    const args = [...EVALUATE, "--metric", "nll,./stop.mjs", "--candidates", "upto:9", "--json", "e.json", "--force"];
    await writeFile(join(folder.path, "stop.mjs"), metricThat(0, ""));
    expect((await inFolder(args)).code).toBe(0);
    const whole = await read<EvaluationResult>("e.json");
    expect(whole.partial).toBeNull();
    // 24 calls before anything is written, 12 for three candidates' answers to four samples: in the third such block.
    await writeFile(join(folder.path, "stop.mjs"), metricThat(24 + 12 + 12 + 3, act));
    const { code, stdout } = await inFolder(args);
    expect(code).toBe(exitCode);
    expect(stdout).toMatch(/Known so far, from 8 of 12 samples, a random part of them/);
    const partial = await read<EvaluationResult>("e.json");
    expect(partial).toMatchObject({ partial: { ofSamples: 12, cause }, data: { samples: 8 } });
    const places = partial.data.lines.map((line) => whole.data.lines.indexOf(line));
    for (const [index, { answers, scores }] of partial.candidates.entries()) {
      const same = whole.candidates[index]!;
      expect(answers).toEqual(places.map((place) => same.answers![place]));
      expect(scores[0]!.perSample).toEqual(places.map((place) => same.scores[0]!.perSample[place]));
      expect(scores[1]!.perSample).toEqual(answers!.map((text) => text.length));
    }
  });

  it("evaluate: too early there is nothing to compare, and nothing is written", async () => {
    await writeFile(join(folder.path, "soon.mjs"), metricThat(24 + 1, STOPS));
    const { code, stdout, stderr } = await inFolder([...EVALUATE, "--metric", "./soon.mjs", "--json", "soon.json"]);
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toContain("Nothing is known yet: fewer than two samples were answered by all candidates.");
    expect(await bytesOf("soon.json")).toBe(0);
  });

  it("generate: the answers that are complete, null for the others", async () => {
    const args = ["generate", DEMO.base, DEMO.adapter, "--prompts", DEMO.samples, "--threads", "1"];
    // So hot that hardly any answer ends by itself: the first line of progress comes long before the end.
    const long = ["--max-tokens", "200", "--temperature", "2"];
    const child = start([...args, ...long, "--json", "g.json"], { cwd: folder.path });
    const end = ended(child);
    child.stderr!.on("data", (text: string) => {
      if (text.includes("Writing answers")) child.kill("SIGINT");
    });
    const { code, stdout } = await end;
    expect(code).toBe(130);
    const { candidates, partial } = await read<{
      readonly candidates: readonly { readonly answers: readonly (object | null)[] }[];
      readonly partial: object;
    }>("g.json");
    const written = candidates.flatMap(({ answers }) => answers.filter((answer) => answer !== null));
    expect(candidates.map(({ answers }) => answers.length)).toEqual([120, 120]);
    expect(written.length).toBeGreaterThan(0);
    expect(partial).toEqual({ answers: written.length, ofAnswers: 240, cause: "cancelled" });
    expect(written.length).toBeLessThan(240);
    expect(stdout.split("Prompt ").length - 1).toBe(Math.min(120, written.length));
  });
});
