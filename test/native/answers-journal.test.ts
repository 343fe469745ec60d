import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { calibrate, type CalibrateOptions, type CalibrationResult } from "../../src/index.js";
import { userMetric } from "../../src/metrics/user-metric.js";
import { temporaryFolder } from "../support/engine-files.js";
import { loadTrio, type Trio } from "../support/engine-trio.js";

const OPTIONS = {
  ...{ threads: 1, objective: "rouge-l", margin: 0.5, keepAnswers: true },
  answers: { maxTokens: 4, stop: ["pasta"] },
} as const;
let trio: Trio;
let folder: { readonly path: string } & AsyncDisposable;
let expected: CalibrationResult;

beforeAll(async () => {
  folder = await temporaryFolder();
  trio = await loadTrio(10);
  expected = (await journaled("whole", {}, false)).result;
});

afterAll(async () => {
  await trio[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function lasting({ createdAt, command, cost: { seconds, generation, ...cost }, ...rest }: CalibrationResult) {
  expect([typeof createdAt, typeof seconds, Array.isArray(command)]).toEqual(["string", "number", true]);
  return { ...rest, cost: { ...cost, generation: { ...generation, seconds: 0 } } };
}

/** Every line but the times in it. */
async function linesOf(name: string): Promise<string[]> {
  const text = await readFile(join(folder.path, name), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/"seconds":[^,]+/, '"seconds":0'));
}

const answersIn = async (name: string) => (await linesOf(name)).filter((line) => line.includes('"answers":[')).length;

async function journaled(name: string, options: CalibrateOptions = {}, resume = true) {
  const notices: string[] = [];
  const before = await answersIn(name);
  const result = await calibrate(trio.adapter, trio.set, {
    ...OPTIONS,
    ...options,
    journal: { path: join(folder.path, name), resume },
    onNotice: (notice) => notices.push(notice),
  });
  return { result, notices, written: (await answersIn(name)) - before };
}

const failureOf = (run: Promise<unknown>) =>
  run.then(
    () => null,
    (error: unknown) => error as Error,
  );

describe("a journal of answers", () => {
  test("cut at several places, in the middle of lines, it ends in the same result and the same journal", async () => {
    expect(lasting(await calibrate(trio.adapter, trio.set, OPTIONS))).toEqual(lasting(expected));
    const whole = await readFile(join(folder.path, "whole"));
    const lines = await linesOf("whole");
    expect(lines.at(-1)).toBe('{"finished":true}');
    // In the first look, in the answers, in the last of them.
    for (const share of [0.2, 0.6, 0.97]) {
      const kept = whole.subarray(0, Math.floor(share * whole.length));
      await writeFile(join(folder.path, "cut"), kept);
      const { result, notices } = await journaled("cut");
      expect(notices[0]).toContain("is cut or damaged; it and what follows it are dropped");
      expect(lasting(result)).toEqual(lasting(expected));
      expect(await linesOf("cut")).toEqual(lines);
    }
  });

  test("what is known is told, and nothing of it written again", async () => {
    const { result, notices, written } = await journaled("whole");
    expect(written).toBe(0);
    expect(notices).toEqual([expect.stringMatching(/26 finished scores and 130 answers are taken from it/)]);
    expect(lasting(result)).toEqual(lasting(expected));
  });

  test("Ctrl-C keeps what was written", async () => {
    const stop = new AbortController();
    let batches = 0;
    const onAnswers = () => {
      batches += 1;
      if (batches === 17) stop.abort();
    };
    const error = await failureOf(journaled("stopped", { onAnswers, signal: stop.signal }));
    expect(error).toMatchObject({ code: "CANCELLED" });
    expect(await answersIn("stopped")).toBe(17);
    const { result, written } = await journaled("stopped");
    expect(written).toBe(26 - 17);
    expect(lasting(result)).toEqual(lasting(expected));
  });

  test("another metric scores the same answers, and that is said", async () => {
    await writeFile(join(folder.path, "other"), await readFile(join(folder.path, "whole")));
    const { result, written, notices } = await journaled("other", { objective: "chrf" });
    expect(written).toBe(0);
    expect(notices.at(-1)).toBe(
      "The metric is another one (rouge-l then, chrf now): the answers are those that were written, and are scored anew.",
    );
    expect(lasting(result)).toEqual(
      lasting(await calibrate(trio.adapter, trio.set, { ...OPTIONS, objective: "chrf" })),
    );
  });

  test.each<[string, CalibrateOptions, RegExp]>([
    ["max tokens", { answers: { ...OPTIONS.answers, maxTokens: 5 } }, /tokens of an answer .*\(4 then, 5 now\)/],
    [
      "stop strings",
      { answers: { maxTokens: 4, stop: ["a"] } },
      /texts that end an answer .*\(\["pasta"\] then, \["a"\] now\)/,
    ],
    ["drafts", { answers: { ...OPTIONS.answers, drafts: false } }, /drafts .*\(verified then, none now\)/],
    ["sequences", { answers: { ...OPTIONS.answers, sequences: 2 } }, /at the same time .*\(16 then, 2 now\)/],
    ["the objective nll", { objective: "nll" }, /objective \(what is written then, nll now\)/],
  ])("%s may not change", async (_, options, message) => {
    const error = await failureOf(journaled("whole", options));
    expect(error).toMatchObject({ code: "JOURNAL_OTHER_RUN", exitCode: 3 });
    expect(error!.message).toMatch(message);
  });
});

describe("a metric that fails on what is written", () => {
  // Tried on references and empty answers, it is well; so few real answers come before the one that it cannot read.
  const tried = 2 * 10;
  const failing = (bad: () => unknown) => {
    let calls = 0;
    return userMetric((answer: string) => {
      calls += 1;
      return calls > tried + 34 ? bad() : answer.length;
    }, "mine");
  };
  const mended = userMetric((answer: string) => answer.length, "mine");
  const options = { answers: { maxTokens: 2 } } as const;
  let whole: CalibrationResult;

  beforeAll(async () => {
    whole = (await journaled("mended", { ...options, objective: mended })).result;
  });

  test.each<[string, () => unknown, string]>([
    [
      "throws",
      () => {
        throw new Error("no such word");
      },
      "METRIC_FAILED",
    ],
    ["returns NaN", () => NaN, "METRIC_VALUE"],
    ["returns a text", () => "0.5", "METRIC_VALUE"],
  ])("one that %s loses nothing: mended, it scores what was written", async (name, bad, code) => {
    const error = await failureOf(journaled(name, { ...options, objective: failing(bad) }));
    expect(error).toMatchObject({ code, exitCode: 3 });
    // 6 batches of 5 samples were scored; the seventh is written, and its fifth answer is the one.
    expect(await answersIn(name)).toBe(7);
    const { result, written } = await journaled(name, { ...options, objective: mended });
    expect(written).toBe(26 - 7);
    expect(lasting(result)).toEqual(lasting(whole));
  });

  test("one that depends on more than its answer is told", async () => {
    const other = userMetric((answer: string) => answer.length + 1, "mine");
    const { result, written } = await journaled("mended", { ...options, objective: other });
    expect(written).toBe(0);
    expect(result.data.notices.at(-1)).toContain(
      "The metric mine scored the same answers otherwise than before the run was resumed",
    );
    expect(whole.data.notices.join()).not.toContain("otherwise");
  });
});
