import { describe, expect, test } from "vitest";
import { tokenize13a } from "../../src/metrics/bleu.js";
import { choiceScore } from "../../src/metrics/choice-accuracy.js";
import { exactMatch } from "../../src/metrics/exact-match.js";
import type { Metric } from "../../src/metrics/metric.js";
import { METRICS, metricNamed } from "../../src/metrics/metrics.js";
import { lastNumber, numericMatch } from "../../src/metrics/numeric-match.js";
import { rougeL } from "../../src/metrics/rouge-l.js";
import { tokenF1 } from "../../src/metrics/token-f1.js";
import { expectError } from "../support/expect-error.js";

const score = (metric: Metric, answer: string, ...references: string[]): number =>
  metric.perSample(answer, references, { line: 7, row: {} });

describe("exact match", () => {
  test.each([
    ["yes", ["yes"], 1],
    [" yes\n", ["no", "yes"], 1],
    ["Yes", ["yes"], 0],
    ["yes yes", ["yes  yes"], 0],
    ["", ["yes"], 0],
  ] as const)("%j against %j: %d", (answer, references, expected) => {
    expect(score(exactMatch, answer, ...references)).toBe(expected);
  });
});

describe("numeric match", () => {
  test.each([
    ["#### 42", 42],
    ["so 3 + 4 = 7.", 7],
    ["$1,234,567.50 in all", 1234567.5],
    ["1,23", 23],
    ["from 10-12", 12],
    ["it is -5 degrees", -5],
    ["it is \u22125", -5],
    ["model x-3", 3],
    [".5", 0.5],
    ["1.5e3", 1500],
    ["2e", 2],
    ["50%", 50],
    ["none", null],
    ["", null],
    ["-", null],
    [".", null],
  ])("the last number of %j is %j", (text, expected) => {
    expect(lastNumber(text)).toBe(expected);
  });

  test("compares numbers, not texts; any reference will do; no number in the answer is wrong", () => {
    expect(score(numericMatch, "It is 42.0 now.", "41", "x = 42")).toBe(1);
    expect(score(numericMatch, "42 or rather 43", "42")).toBe(0);
    expect(score(numericMatch, "", "42")).toBe(0);
  });

  test("a reference without a number is an error that names the line", () => {
    expectError(() => score(numericMatch, "42", "forty-two"), "METRIC_NO_NUMBER", /reference of line 7/);
  });
});

describe("token F1", () => {
  test.each([
    // 2 shared of 3 and 2 words: 2 * 2 / 5.
    ["the red big cat", ["cat, red!"], 0.8],
    // Words count as often as both sides have them.
    ["no no no", ["no no"], 0.8],
    ["A theatre", ["theatre"], 1],
    ["x", ["y", "x z"], 2 / 3],
    ["", ["x"], 0],
    ["the", ["a"], 1],
  ] as const)("%j against %j: %d", (answer, references, expected) => {
    expect(score(tokenF1, answer, ...references)).toBeCloseTo(expected, 12);
  });
});

describe("ROUGE-L", () => {
  test("by hand: 3 of 4 words in order on both sides", () => {
    expect(score(rougeL, "police killed the gunman", "police kill the gunman")).toBeCloseTo(0.75, 12);
    expect(score(rougeL, "the gunman kill police", "police kill the gunman")).toBeCloseTo(0.5, 12);
  });

  test("a text without ASCII letters or digits scores 0, on either side", () => {
    expect(score(rougeL, "", "x")).toBe(0);
    expect(score(rougeL, "...", "...")).toBe(0);
  });
});

test("tokenizer 13a: dashes and points between digits stay, others part", () => {
  expect(tokenize13a("It's 1,000.5 (or 3-4), e.g. &quot;A-b&quot;.")).toEqual([
    "It's",
    "1,000.5",
    "(",
    "or",
    "3",
    "-",
    "4",
    ")",
    ",",
    "e",
    ".",
    "g",
    ".",
    '"',
    "A-b",
    '"',
    ".",
  ]);
});

describe("choice accuracy", () => {
  test("1 where the right one is likeliest, else 0; equals share", () => {
    expect(choiceScore([2, 1, 3], 1)).toBe(1);
    expect(choiceScore(Float64Array.of(2, 1, 3), 0)).toBe(0);
    expect(choiceScore([1, 1, 1, 2], 0)).toBeCloseTo(1 / 3, 12);
  });

  test("a missing choice or a loss that is no number is a bug of the caller", () => {
    expectError(() => choiceScore([1, 2], 2), "CHOICE_SHAPE", /choice 2/);
    expectError(() => choiceScore([1, NaN], 0), "CHOICE_SHAPE", /choice 0/);
  });
});

test("every metric scores an empty answer, and the right answer at its best", () => {
  for (const metric of METRICS) {
    expect(score(metric, "", "the answer is 42 today")).toBe(0);
    const best = score(metric, "the answer is 42 today", "the answer is 42 today");
    expect(best).toBeCloseTo(["bleu", "chrf"].includes(metric.name) ? 100 : 1, 9);
    expect(metricNamed(metric.name)).toBe(metric);
  }
  expect(metricNamed("rouge")).toBeNull();
});
