import { describe, expect, test } from "vitest";
import { userMetric } from "../../src/metrics/user-metric.js";
import { expectError } from "../support/expect-error.js";

const SAMPLE = { line: 12, row: { prompt: "2 + 2 =", level: { is: 3 } } };

describe("a user's metric", () => {
  test("a function alone: named by its module, higher is better, the set's figure is the mean", () => {
    const metric = userMetric((answer: string) => answer.length, "./mine.mjs");
    expect(metric).toMatchObject({ name: "./mine.mjs", higherIsBetter: true, corpus: null });
    expect(metric.perSample("four", ["x"], SAMPLE)).toBe(4);
  });

  test("an object: name, direction, and a figure of the whole set", () => {
    const metric = userMetric(
      {
        name: "length",
        higherIsBetter: false,
        score: (answer: string) => answer.length,
        corpus: (answers: string[], samples: { line: number; references: string[] }[]) =>
          answers.join("").length + samples[0]!.line + samples[1]!.references.length,
      },
      "./mine.mjs",
    );
    expect(metric).toMatchObject({ name: "length", higherIsBetter: false });
    expect(metric.corpus!(["a", "bc"], [["r"], ["s", "t"]], [SAMPLE, SAMPLE])).toBe(3 + 12 + 2);
  });

  test("it sees the row, its references and its line, and what it changes nobody else sees", () => {
    let seen: unknown;
    const metric = userMetric((_: string, sample: { level: { is: number }; references: string[] }) => {
      seen = structuredClone(sample);
      sample.level.is = 0;
      sample.references.push("more");
      return 1;
    }, "m");
    const references = ["4", "four"];
    metric.perSample("4", references, SAMPLE);
    expect(seen).toEqual({ prompt: "2 + 2 =", level: { is: 3 }, references: ["4", "four"], line: 12 });
    expect(SAMPLE.row.level.is).toBe(3);
    expect(references).toHaveLength(2);
  });

  test("one that throws: the reason and the line, the cause kept", () => {
    const cause = new TypeError("no such field");
    const metric = userMetric(() => {
      throw cause;
    }, "mine");
    const error = expectError(
      () => metric.perSample("", [""], SAMPLE),
      "METRIC_FAILED",
      /mine failed on line 12: no such field/,
    );
    expect(error.cause).toBe(cause);
    expect(error.details).toEqual({ line: 12, metric: "mine" });
    expect(error.exitCode).toBe(3);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["a text", () => "0.5", /received the text "0.5"\.$/],
    ["NaN", () => NaN, /received NaN\.$/],
    ["Infinity", () => Infinity, /received Infinity\.$/],
    ["nothing", () => undefined, /received undefined\.$/],
    ["a promise", () => Promise.resolve(1), /received a promise\. A metric must answer at once/],
    ["a promise that fails", () => Promise.reject(new Error("late")), /received a promise/],
  ])("one that returns %s: an error with the line", (_, score, message) => {
    const metric = userMetric(score, "mine");
    const error = expectError(() => metric.perSample("", [""], SAMPLE), "METRIC_VALUE", message);
    expect(error.message).toMatch(/finite number from the metric mine on line 12/);
  });

  test("a figure of the set that is no number is an error as well", () => {
    const metric = userMetric({ name: "m", score: () => 1, corpus: () => null }, "mine");
    expectError(() => metric.corpus!(["a"], [["a"]], [SAMPLE]), "METRIC_VALUE", /m\.corpus but received null/);
  });

  test.each<[unknown, RegExp]>([
    [undefined, /as default export but received undefined/],
    ["rouge", /received the text "rouge"/],
    [{}, /`score` is undefined/],
    [{ score: 1 }, /`score` is 1/],
    [{ score: () => 1, name: "" }, /for `name` but received the text ""/],
    [{ score: () => 1, higherIsBetter: "yes" }, /for `higherIsBetter`/],
    [{ score: () => 1, corpus: 3 }, /for `corpus` but received 3/],
  ])("a module that exports %j is refused", (exported, message) => {
    const error = expectError(() => userMetric(exported, "./mine.mjs"), "METRIC_MODULE", message);
    expect(error.exitCode).toBe(2);
  });
});
