import { describe, expect, test } from "vitest";
import { readSamples } from "../../src/data/read-samples.js";
import { withReferences } from "../../src/data/references.js";
import { answerBatches } from "../../src/calibration/packing.js";
import { answerScorer, requireMetric, type AnsweredModel } from "../../src/evaluation/answering.js";
import { evaluate, type Evaluation } from "../../src/evaluation/evaluate.js";
import { sharedLines } from "../../src/evaluation/shared-lines.js";
import { loadMetric } from "../../src/evaluation/load-metric.js";
import { namedCandidates } from "../../src/evaluation/name-candidates.js";
import { bleu } from "../../src/metrics/bleu.js";
import { exactMatch } from "../../src/metrics/exact-match.js";
import { rougeL } from "../../src/metrics/rouge-l.js";
import { userMetric } from "../../src/metrics/user-metric.js";
import { renderEvaluation } from "../../src/report/evaluation.js";
import { search, type SearchProgress } from "../../src/search/search.js";
import { failure, useFolder } from "../support/data-files.js";
import { TestTokenizer } from "../support/data-tokenizer.js";
import { violations } from "../support/json-schemas.js";
import { expectError } from "../support/expect-error.js";

const folder = useFolder();
const LAYERS = 4;
const COUNT = 40;
const WORDS = ["red", "blue", "green", "gold", "grey", "pink", "teal", "black"];
const right = (sample: number): string =>
  Array.from({ length: 8 }, (_, place) => WORDS[(sample + place * (1 + (sample % 5))) % 8]!).join(" ");
/** The right answer with its last `wrong` words replaced. */
const damaged = (sample: number, wrong: number): string =>
  right(sample)
    .split(" ")
    .map((word, place) => (place >= 8 - wrong ? "x" : word))
    .join(" ");

const samples = await readSamples(
  Array.from({ length: COUNT }, (_, sample) => ({ prompt: `p${sample}`, completion: right(sample) })),
  new TestTokenizer(),
);
/** The base gets 6 words wrong, the full adapter 1 or 2; upto:3 none on every other sample, else as the full adapter; upto:1 in between. */
const wrongWords: Readonly<Record<string, (sample: number) => number>> = {
  "upto:0": () => 6,
  "upto:4": (sample) => 1 + (sample % 2),
  "upto:3": (sample) => (sample % 2 === 0 ? 0 : 2),
  "upto:2": (sample) => 1 + (sample % 2),
  "upto:1": (sample) => 3 + (sample % 3),
};
const answersOf = (id: string): string[] =>
  samples.samples.map((_, sample) => damaged(sample, wrongWords[id]!(sample)));
const candidates = namedCandidates("base,full,upto:3,upto:1", LAYERS);

const evaluation = (changes: Partial<Evaluation> = {}): Evaluation => ({
  model: { path: "base.gguf" },
  adapter: { path: "adapter.gguf", coveredLayers: [0, 1, 2, 3] },
  samples,
  candidates,
  answers: candidates.map(({ id }) => answersOf(id)),
  metrics: [rougeL, bleu, exactMatch],
  losses: null,
  ...changes,
});

describe("an evaluation of answers", () => {
  const result = evaluate(evaluation());
  const scoreOf = (id: string, metric: string) =>
    result.candidates.find((it) => it.id === id)!.scores.find((it) => it.metric === metric)!;

  test("pairs: who wins on how many samples, and by how much on average", () => {
    const cut = scoreOf("upto:3", "rouge-l");
    // One word of eight more on half of the samples.
    expect(cut.vsFull).toMatchObject({ wins: 20, losses: 0, ties: 20 });
    expect(cut.vsFull?.gain.mean).toBeCloseTo(1 / 16, 9);
    expect(cut.vsFull!.gain.low).toBeGreaterThan(0);
    expect(cut.mean).toBeCloseTo((1 + 6 / 8) / 2, 9);
    expect(scoreOf("upto:1", "rouge-l").vsFull).toMatchObject({ wins: 0, losses: 40, ties: 0 });
    expect(scoreOf("upto:1", "rouge-l").vsFull!.gain.high).toBeLessThan(0);
    expect(scoreOf("upto:1", "rouge-l").vsBase!.gain.low).toBeGreaterThan(0);
    expect(scoreOf("upto:4", "rouge-l").vsFull).toBeNull();
    expect(scoreOf("upto:0", "rouge-l").vsBase).toBeNull();
    expect(scoreOf("upto:3", "exact").mean).toBeCloseTo(0.5, 9);
    expect(scoreOf("upto:3", "exact").vsFull).toMatchObject({ wins: 20, losses: 0, ties: 20 });
  });

  test("BLEU: pairs are sentences, the set's own figure stands beside with a bounded difference", () => {
    const cut = scoreOf("upto:3", "bleu");
    const references = samples.samples.map((_, sample) => [right(sample)]);
    expect(cut.corpus).toBeCloseTo(bleu.corpus!(answersOf("upto:3"), references, []), 9);
    const difference = cut.corpus! - scoreOf("upto:4", "bleu").corpus!;
    expect(cut.corpusVsFull!.low).toBeLessThan(difference);
    expect(cut.corpusVsFull!.high).toBeGreaterThan(difference);
    expect(Math.abs(cut.corpusVsFull!.mean - difference)).toBeLessThan(0.5);
    expect(scoreOf("upto:3", "rouge-l").corpus).toBeNull();
  });

  test("keeps answers, references and lines, survives JSON, and bounds hold together", () => {
    expect(result.schema).toBe("lora-boundary/evaluation@1");
    expect(result.candidates[2]?.answers).toEqual(answersOf("upto:3"));
    expect(result.data).toMatchObject({ samples: COUNT, lines: samples.samples.map(({ line }) => line) });
    expect(result.data.references?.[1]).toEqual([right(1)]);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    expect(violations(result)).toEqual([]);
    const alone = evaluate(evaluation({ metrics: [rougeL] }));
    expect(result.criticalValue).toBeGreaterThanOrEqual(alone.criticalValue);
  });

  test("halves of layers: strengths of both, and a layer with one of them counts", () => {
    const halves = namedCandidates("base,full;attention:0-1=0,ffn:0=0,*=1", LAYERS);
    const result = evaluate(evaluation({ candidates: halves, answers: halves.map(() => answersOf("upto:3")) }));
    const [base, full, half] = result.candidates;
    expect([base!.adaptedLayers, full!.adaptedLayers, half!.adaptedLayers]).toEqual([0, 4, 3]);
    expect(half).toMatchObject({ layerScales: [0, 0, 1, 1], feedForwardScales: [0, 1, 1, 1] });
    expect(full).not.toHaveProperty("feedForwardScales");
    expect(violations(result)).toEqual([]);
  });

  test("the loss needs no answers and is better when lower", () => {
    const losses = candidates.map(({ id }) =>
      Float64Array.from(samples.samples, (_, sample) => wrongWords[id]!(sample)),
    );
    const both = evaluate(evaluation({ metrics: [], answers: null, losses }));
    expect(both.metrics).toEqual([{ name: "nll", higherIsBetter: false, unit: "nats per token" }]);
    const loss = both.candidates[2]!.scores[0]!.vsFull!;
    expect(loss).toMatchObject({ wins: 20, losses: 0, ties: 20 });
    expect(loss.gain.mean).toBeCloseTo(0.5, 9);
    expect(both.candidates[2]?.answers).toBeNull();
    expect(both.data.references).toBeNull();
  });

  test.each([
    [5, false],
    [6, true],
  ])("hits and misses: %i wins without a loss are as much as chance alone can do, or not", (wins, isProven) => {
    // Flips of sign give all wins with probability 2^(1 - wins), 0.06 and 0.03; the spread of so few says less than that.
    const three = namedCandidates("base,full,upto:3", LAYERS);
    const answers = three.map(({ id }) =>
      samples.samples.map((_, sample) => (id === "upto:3" && sample < wins ? right(sample) : "x")),
    );
    const gain = evaluate(evaluation({ candidates: three, answers, metrics: [exactMatch] })).candidates[2]?.scores[0]
      ?.vsFull?.gain;
    expect(gain?.mean).toBeCloseTo(wins / COUNT, 12);
    expect(gain!.low > 0).toBe(isProven);
  });

  test("what cannot be evaluated is refused", async () => {
    expectError(() => evaluate(evaluation({ metrics: [] })), "METRICS_EMPTY", /at least one metric/);
    expectError(() => evaluate(evaluation({ answers: [] })), "EVALUATION_SHAPE", /4 candidates on 40 samples/);
    const text = await readSamples([{ text: "one text" }, { text: "another" }], new TestTokenizer());
    const answers = candidates.map(() => ["a", "b"]);
    expectError(() => evaluate(evaluation({ samples: text, answers })), "SAMPLES_NO_REFERENCES", /^row 1: /);
    const one = await readSamples([{ prompt: "p", completion: "c" }], new TestTokenizer());
    expectError(
      () => evaluate(evaluation({ samples: one, answers: candidates.map(() => ["a"]) })),
      "TOO_FEW_SAMPLES",
      /2/,
    );
    const broken = userMetric((_: string, { line }: { line: number }) => (line === 3 ? NaN : 1), "mine");
    expectError(() => evaluate(evaluation({ metrics: [broken] })), "METRIC_VALUE", /line 3/);
  });

  test("the terminal view: a table per metric, every width, the winner marked, no foreign control characters", () => {
    const page = renderEvaluation(result, { width: 120 });
    expect(page).toMatch(
      /rouge-l \(points of 1\)\ncandidate +layers +mean +gain vs full +won\/lost\/tied +gain vs base/,
    );
    expect(page).toMatch(/upto:3 +3 +0\.8750 +\+0\.0625 ±0\.\d{4}\* +20\/0\/20 /);
    expect(page).toMatch(/bleu \(points of 100\)\ncandidate +layers +mean +set +set vs full/);
    expect(page).toContain("Better is: rouge-l higher, bleu higher, exact higher.");
    for (let width = 20; width < 130; width++) {
      for (const line of renderEvaluation(result, { width }).split("\n"))
        expect(line.length).toBeLessThanOrEqual(width);
    }
    const chosenOn = { path: "re\u001bsult.json", sharedLines: [1, 2, 3] };
    const warned = renderEvaluation({ ...result, chosenOn }, { width: 300 });
    expect(warned).toMatch(/^Warning: 3 of 40 samples were used for choosing in re\\x1bsult\.json/);
    expect(renderEvaluation({ ...result, chosenOn: { ...chosenOn, sharedLines: [] } }, { width: 300 })).not.toContain(
      "Warning",
    );
  });
});

describe("candidates by name", () => {
  const scales = (text: string) =>
    namedCandidates(text, 4).map(({ id, layerScales, inputScale, outputScale }) => [
      id,
      [inputScale, ...layerScales, outputScale].join(),
    ]);

  test("base and full are always there, first; others in their order, each once", () => {
    expect(scales("full,without:1,3,scale:0.5,upto:2*1.5,from:1,window:1-2,upto:4,upto:2*1.5")).toEqual([
      ["upto:0", "0,0,0,0,0,0"],
      ["upto:4", "1,1,1,1,1,1"],
      ["without:1,3", "1,1,0,1,0,0"],
      ["scale:0.5", "0.5,0.5,0.5,0.5,0.5,0.5"],
      ["upto:2*1.5", "1.5,1.5,1.5,0,0,0"],
      ["from:1", "0,0,1,1,1,1"],
      ["window:1-2", "0,0,1,1,0,0"],
    ]);
  });

  test("a semicolon parts lists, and what computes the same has one name", () => {
    expect(scales("base; 0-1,3 ;without:3;attention:0=0")).toEqual([
      ["upto:0", "0,0,0,0,0,0"],
      ["upto:4", "1,1,1,1,1,1"],
      ["without:2", "1,1,1,0,1,1"],
      ["upto:3", "1,1,1,1,0,0"],
      ["without:attention:0", "1,0,1,1,1,1"],
    ]);
    const [, , part] = namedCandidates("without:attention:1", 4);
    expect(part).toMatchObject({ layerScales: [1, 0, 1, 1], feedForwardScales: [1, 1, 1, 1] });
  });

  test.each([
    ["upto:5", "RANGE"],
    ["from:4", "RANGE"],
    ["without:4", "RANGE"],
    ["upto:1-2", "SYNTAX"],
    ["without:", "SYNTAX"],
    ["scale:", "NUMBER"],
    ["full,,base", "SYNTAX"],
    ["up", "NAME"],
    ["", "EMPTY"],
    ["full;", "EMPTY"],
  ])("%j is refused: SCALES_%s", (name, code) => {
    expectError(() => namedCandidates(name, 4), `SCALES_${code}`, /`--candidates`/);
  });

  test("a result file's own candidates come first", () => {
    const known = [{ id: "mine", layerScales: [1, 0, 1, 0], inputScale: 1, outputScale: 0 }];
    expect(namedCandidates("full,mine", 4, known)[2]).toEqual(known[0]);
    expect(
      namedCandidates("upto:1,mine,from:3", 4, known)
        .map(({ id }) => id)
        .slice(2),
    ).toEqual(["upto:1", "mine", "from:3"]);
  });
});

test("lines that a calibration saw count only in the same file", () => {
  const choice = {
    candidates: [],
    selected: null,
    model: { layers: 4 },
    data: { sha256: samples.sha256, lines: [2, 4, 99] },
  };
  expect(sharedLines(samples, choice)).toEqual([2, 4]);
  expect(sharedLines(samples, { ...choice, data: { ...choice.data, sha256: "other" } })).toEqual([]);
});

describe("metrics by name", () => {
  test("built in, or a user's module", async () => {
    expect(await loadMetric("rouge-l")).toBe(rougeL);
    const path = await folder.write(
      "mine.mjs",
      "export default { name: 'mine', higherIsBetter: false, score: (a, s) => a.length - s.references[0].length };",
    );
    const metric = await loadMetric(path);
    expect(metric).toMatchObject({ name: "mine", higherIsBetter: false });
    expect(metric.perSample("abc", ["x"], { line: 1, row: {} })).toBe(2);
  });

  test("an unknown name lists those there are; a broken module says what is wrong with it", async () => {
    expect(await failure(loadMetric("rouge"))).toMatchObject({ code: "METRIC_NAME", exitCode: 2 });
    expect((await failure(loadMetric("rouge"))).message).toContain(
      "nll, choice, exact, numeric, f1, rouge-l, bleu, chrf",
    );
    const broken = await folder.write("broken.mjs", "export default (");
    expect(await failure(loadMetric(broken))).toMatchObject({ code: "METRIC_MODULE", exitCode: 2 });
    expect((await failure(loadMetric("./none.mjs"))).message).toMatch(/none\.mjs cannot be loaded/);
  });
});

/** Answers of the table above; a global scale writes worse ones. */
const write: AnsweredModel["write"] = ({ id, layerScales }, batch) =>
  Promise.resolve(
    BATCHES[batch]!.map((sample) =>
      id.startsWith("scale:") ? damaged(sample, layerScales[0]! === 1.1 ? 3 : 4) : answersOf(id)[sample]!,
    ),
  );
const BATCHES = answerBatches(COUNT, 0);
const answered = (changes: Partial<AnsweredModel> = {}) =>
  answerScorer({
    ...{ layers: LAYERS, coveredLayers: [0, 1, 2, 3], batches: BATCHES },
    ...{ samples: withReferences(samples), metric: rougeL, write },
    ...changes,
  });

describe("a search on answers", () => {
  test("the metric's own scale, its choice, and progress in the unit of the cost", async () => {
    const written: string[] = [];
    const scorer = answered({ onAnswers: ({ candidate: { id } }) => written.push(id) });
    const progress: SearchProgress[] = [];
    const onProgress = (step: SearchProgress) => progress.push(step);
    const { candidates: judged, selected, gate } = await search(scorer, { objective: rougeL, onProgress });
    expect(gate.passed).toBe(true);
    const of = (id: string) => judged.find((it) => it.id === id)!;
    expect(of("upto:4").mean).toBeCloseTo((7 / 8 + 6 / 8) / 2, 9);
    expect(of("upto:3").verdict).toBe("better");
    expect(of("upto:3").retention?.mean).toBeCloseTo((0.875 - 0.25) / (0.8125 - 0.25), 9);
    expect(of("upto:1").verdict).toBe("worse");
    // `upto:2` writes what the full adapter writes, letter by letter: nothing is lost, with fewer layers than `upto:3`.
    expect(of("upto:2")).toMatchObject({ gainVsFull: { mean: 0 }, verdict: "not-worse" });
    expect(selected?.candidate.id).toBe("upto:2");
    expect(written.slice(0, 5)).toEqual(["upto:0", "upto:1", "upto:2", "upto:3", "upto:4"]);
    expect(written).toHaveLength(10 * BATCHES.length);
    expect(progress.findLast(({ stage }) => stage === "boundary")).toEqual({ stage: "boundary", done: 25, total: 25 });
  });

  test("a race looks after every few samples and drops by answers alone, whatever the order", async () => {
    const written: string[] = [];
    const reversed = answered({
      order: (candidates) => Promise.resolve([...candidates].reverse()),
      onAnswers: ({ candidate: { id } }) => written.push(id),
    });
    const racing = { objective: rougeL, strategy: "race" } as const;
    const { candidates: judged, selected } = await search(reversed, racing);
    expect(written.slice(0, 5)).toEqual(["upto:4", "upto:3", "upto:2", "upto:1", "upto:0"]);
    const dropped = judged.filter(({ droppedAfter }) => droppedAfter !== null);
    expect(dropped.map(({ id }) => id)).toContain("upto:1");
    for (const { droppedAfter } of dropped) expect(droppedAfter! % 8).toBe(0);
    expect(selected?.candidate.id).toBe("upto:2");
    const forward = await search(answered(), racing);
    expect(forward.candidates).toEqual(judged);
  });

  test("batches are a few samples in random order, each once, and of each fold its share", () => {
    expect(BATCHES.map(({ length }) => length)).toEqual([8, 8, 8, 8, 8]);
    expect(BATCHES.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: COUNT }, (_, sample) => sample));
    expect(BATCHES[0]).not.toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(answerBatches(COUNT, 0)).toEqual(BATCHES);
    expect(answerBatches(COUNT, 1)).not.toEqual(BATCHES);
    expect(answerBatches(9, 0).map(({ length }) => length)).toEqual([5, 4]);
    const folds = Int32Array.from({ length: COUNT }, (_, sample) => sample % 2);
    const parted = answerBatches(COUNT, 0, folds).map((batch) => new Set(batch.map((sample) => folds[sample])));
    expect(parted.every((fold) => fold.size === 1)).toBe(true);
    expect(new Set(parted.slice(0, 2).flatMap((fold) => [...fold])).size).toBe(2);
  });

  test("a writer that leaves answers out is a bug, not an empty answer", async () => {
    const scorer = answered({ write: () => Promise.resolve(["one"]) });
    expect(await failure(search(scorer))).toMatchObject({ code: "ANSWERS_SHAPE" });
    const silent = answered({ write: (_, batch) => Promise.resolve(BATCHES[batch]!.map(() => "")) });
    const { gate } = await search(silent, { objective: rougeL });
    expect(gate).toMatchObject({ passed: false, failure: "no-gain", gain: { mean: 0 } });
  });

  test("a user's metric that fails does so before anything is written", () => {
    const referenced = withReferences(samples);
    const refused = (score: (answer: string) => unknown, code: string, message: RegExp) => {
      expectError(
        () => {
          requireMetric(userMetric(score, "mine"), referenced);
        },
        code,
        message,
      );
    };
    refused(
      () => {
        throw new Error("no such word");
      },
      "METRIC_FAILED",
      /mine failed on line 1: no such word/,
    );
    refused(() => "0.5", "METRIC_VALUE", /the text "0.5"/);
    refused(() => NaN, "METRIC_VALUE", /NaN/);
    refused((answer) => (answer === "" ? undefined : 1), "METRIC_VALUE", /undefined/);
    requireMetric(rougeL, referenced);
  });
});
