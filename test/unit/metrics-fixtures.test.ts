import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bleu } from "../../src/metrics/bleu.js";
import { chrf } from "../../src/metrics/chrf.js";
import { jackknifeValues } from "../../src/metrics/jackknife.js";
import { rougeL } from "../../src/metrics/rouge-l.js";
import { seededRandom } from "../../src/search/resample.js";

interface Fixture {
  readonly corpus: {
    readonly bleu: number;
    readonly chrf: number;
    readonly rougeL: number;
    readonly bleuOfShort: number;
  };
  readonly samples: readonly {
    readonly answer: string;
    readonly references: readonly string[];
    readonly bleu: number;
    readonly chrf: number;
    readonly rougeL: number;
  }[];
}

/** Values of sacrebleu and rouge-score; `text-metrics.py` says how they were made. */
const fixture = JSON.parse(readFileSync(new URL("../fixtures/text-metrics.json", import.meta.url), "utf8")) as Fixture;
const { samples, corpus } = fixture;
const answers = samples.map(({ answer }) => answer);
const references = samples.map((sample) => sample.references);
const facts = samples.map((_, index) => ({ line: index + 1, row: {} }));

const TOLERANCE = 1e-4;

function largestDifference(ours: readonly number[], theirs: readonly number[]): number {
  return Math.max(...ours.map((value, index) => Math.abs(value - theirs[index]!)));
}

describe("values of the reference implementations on 100 answers", () => {
  test("the fixture holds what it should: several references, empty answers, all levels of score", () => {
    expect(samples).toHaveLength(100);
    expect(samples.filter((sample) => sample.references.length > 1).length).toBeGreaterThan(50);
    expect(samples.filter(({ answer }) => answer.trim() === "").length).toBeGreaterThan(1);
    expect(new Set(samples.map(({ bleu: value }) => Math.round(value / 10))).size).toBeGreaterThan(8);
  });

  test.each([
    [bleu, "bleu"],
    [chrf, "chrf"],
    [rougeL, "rougeL"],
  ] as const)("$0.name of every sample", (metric, field) => {
    const ours = samples.map((sample, index) => metric.perSample(sample.answer, sample.references, facts[index]!));
    expect(
      largestDifference(
        ours,
        samples.map((sample) => sample[field]),
      ),
    ).toBeLessThan(TOLERANCE);
  });

  test("of the whole set", () => {
    expect(Math.abs(bleu.corpus!(answers, references, facts) - corpus.bleu)).toBeLessThan(TOLERANCE);
    expect(Math.abs(chrf.corpus!(answers, references, facts) - corpus.chrf)).toBeLessThan(TOLERANCE);
    const mean =
      samples.reduce(
        (sum, sample, index) => sum + rougeL.perSample(sample.answer, sample.references, facts[index]!),
        0,
      ) / 100;
    expect(Math.abs(mean - corpus.rougeL)).toBeLessThan(TOLERANCE);
  });

  test("of a set in which smoothing decides", () => {
    const short = (_: unknown, index: number): boolean => index % 10 === 3;
    const value = bleu.corpus!(answers.filter(short), references.filter(short), facts.filter(short));
    expect(Math.abs(value - corpus.bleuOfShort)).toBeLessThan(TOLERANCE);
  });
});

describe("jackknife values", () => {
  test.each([bleu, chrf])("$name: the mean is the corpus score, the spread that of resampled corpora", (metric) => {
    const values = jackknifeValues(metric, answers, references);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
    const score = metric.corpus!(answers, references, facts);
    expect(Math.abs(mean - score)).toBeLessThan(0.3);

    const each = answers.map((answer, index) => metric.statistics(answer, references[index]!));
    const random = seededRandom(1);
    const resampled = Array.from({ length: 2000 }, () => {
      const sums = new Float64Array(each[0]!.length);
      for (let draw = 0; draw < each.length; draw++) {
        const drawn = each[random.nextBelow(each.length)]!;
        for (const [field, value] of drawn.entries()) sums[field]! += value;
      }
      return metric.fromStatistics(sums);
    });
    const centre = resampled.reduce((sum, value) => sum + value, 0) / resampled.length;
    const spread = Math.sqrt(resampled.reduce((sum, value) => sum + (value - centre) ** 2, 0) / resampled.length);
    expect(Math.sqrt(variance / values.length) / spread).toBeGreaterThan(0.9);
    expect(Math.sqrt(variance / values.length) / spread).toBeLessThan(1.1);
  });
});
