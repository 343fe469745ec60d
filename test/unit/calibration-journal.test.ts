import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { Journal, type JournalOptions } from "../../src/calibration/journal.js";
import type { SelfCheck } from "../../src/engine/score-store.js";
import type { KeptAnswers } from "../../src/evaluation/answer-store.js";
import { failure, useFolder } from "../support/data-files.js";

const folder = useFolder();
const INPUTS = { "base model": "a".repeat(64), threads: "1" };
const SAMPLES = { samples: "b".repeat(64) };
const BATCHES = [[0, 2], [1]];
const CHECK: SelfCheck = {
  replay: "exact",
  loss: "graph",
  noiseFloor: 0,
  notices: [],
  usable: [false, true],
  layerTokens: 12,
};
/** Doubles that a careless writer would round. */
const SUMS = [Float64Array.of(0.1 + 0.2, 1 / 3), Float64Array.of(5e-324)] as const;
const FULL = Float32Array.of(1, 1, 1.3, 1);
const BASE = Float32Array.of(0, 0, 0, 0);
let number = 0;
let path = "";

beforeEach(() => {
  path = join(folder.path, `run${(number += 1)}.journal`);
});

const lines = async () => (await readFile(path, "utf8")).split("\n");
const opened = (options: Partial<JournalOptions> = {}, inputs = INPUTS) => Journal.open({ path, ...options }, inputs);

/** A journal with the check and three scores, finished or not. */
async function written({ finish = false } = {}) {
  await using journal = await opened();
  const store = await journal.storeOf("samples", SAMPLES, BATCHES);
  expect(store.check).toBeNull();
  await store.storeCheck(CHECK);
  await store.store(0, FULL, SUMS[0]);
  await store.store(1, FULL, SUMS[1]);
  await store.store(
    0,
    BASE,
    SUMS[0].map((it) => it * 2),
  );
  if (finish) await journal.finish();
}

/** What a run that resumes finds. */
async function known(options: Partial<JournalOptions> = { resume: true }) {
  await using journal = await opened(options);
  const store = await journal.storeOf("samples", SAMPLES, BATCHES);
  return {
    notices: journal.notices,
    check: store.check,
    sums: [store.sums(0, FULL), store.sums(1, FULL), store.sums(0, BASE), store.sums(1, BASE)],
  };
}

const ALL = [SUMS[0], SUMS[1], SUMS[0].map((it) => it * 2), undefined];

describe("a journal", () => {
  it("gives back what was written, bit for bit, as often as it is asked", async () => {
    await written();
    for (let time = 0; time < 2; time++) {
      const found = await known();
      expect(found).toMatchObject({ check: CHECK, sums: ALL });
      expect(found.notices).toEqual([`${path}: 3 finished scores are taken from it, none of them computed again.`]);
    }
    expect((await lines()).length).toBe(7);
  });

  it("keeps sets of samples apart", async () => {
    await written();
    await using journal = await opened({ resume: true });
    const guard = await journal.storeOf("guard", { samples: "c".repeat(64) }, BATCHES);
    expect([guard.check, guard.sums(0, FULL)]).toEqual([null, undefined]);
  });

  it("knows a candidate by the bits of its strengths, and a batch by its size", async () => {
    await written();
    await using journal = await opened({ resume: true });
    const store = await journal.storeOf("samples", SAMPLES, [[0], [1]]);
    expect(store.sums(1, FULL)).toEqual(SUMS[1]);
    expect(store.sums(0, FULL)).toBeUndefined();
    expect(store.sums(1, Float32Array.of(1, 1, 1.3 + 1e-6, 1))).toBeUndefined();
  });

  it("without one there is nothing to resume, and it is begun", async () => {
    expect((await known()).notices).toEqual([expect.stringContaining("no journal to resume from yet")]);
    expect((await lines())[0]).toMatch(/^\{"schema":"lora-boundary\/journal@1"/);
  });
});

describe("a journal of answers", () => {
  const DECIDING = { "tokens of an answer (--answer-tokens)": "8" };
  const WRITTEN: KeptAnswers = {
    answers: [
      {
        ...{ text: 'two\nlines, "quoted", \u{1f989}', tokens: Int32Array.of(7, 0, 2 ** 31 - 1), finish: "end" },
        margins: Float32Array.of(0.1, 0, Infinity),
      },
      { text: "", tokens: new Int32Array(), margins: new Float32Array(), finish: "stop" },
    ],
    facts: {
      ...{ steps: 3, tokensComputed: 9, tokensWritten: 3, draftsProposed: 2, draftsAccepted: 1 },
      ...{ seconds: 0.1 + 0.2, notices: ["one"] },
    },
  };
  const answersOf = (journal: Journal, metric = "f1") => journal.answersOf(DECIDING, BATCHES, metric);

  /** Answers of one candidate to the first batch, and what `f1` says of them. */
  async function answered() {
    await using journal = await opened();
    const store = await answersOf(journal);
    expect([store.scoredBy, store.answers(0, FULL)]).toEqual([null, undefined]);
    await store.storeAnswers(0, FULL, WRITTEN);
    await store.storeScores(0, FULL, [1 / 3, 0]);
    expect(store.scoredBy).toBeNull();
  }

  it("gives back texts, tokens, facts and scores as they were", async () => {
    await answered();
    await using journal = await opened({ resume: true });
    expect(journal.notices).toEqual([
      `${path}: 0 finished scores and 2 answers are taken from it, none of them computed again.`,
    ]);
    const store = await answersOf(journal);
    expect(store.answers(0, FULL)).toEqual(WRITTEN);
    expect([store.answers(0, BASE), store.answers(1, FULL)]).toEqual([undefined, undefined]);
    expect([store.scoredBy, store.scores(0, FULL)]).toEqual(["f1", [1 / 3, 0]]);
  });

  it("another metric has the answers and none of the scores", async () => {
    await answered();
    await using journal = await opened({ resume: true });
    const store = await answersOf(journal, `mine ${"e".repeat(64)}`);
    expect(store.answers(0, FULL)).toEqual(WRITTEN);
    expect([store.scoredBy, store.scores(0, FULL)]).toEqual(["f1", undefined]);
    const unlike = journal.answersOf({ ...DECIDING, "texts that end an answer (--stop)": '["a"]' }, BATCHES, "f1");
    expect((await failure(unlike)).message).toContain('(--stop) (none then, ["a"] now)');
  });

  it("answers to another number of samples are none to this batch", async () => {
    await answered();
    await using journal = await opened({ resume: true });
    expect((await journal.answersOf(DECIDING, [[0]], "f1")).answers(0, FULL)).toBeUndefined();
  });

  const OF = '"set":"answers","batch":0,"strengths":"00"';
  const FACTS =
    '"facts":{"steps":1,"tokensComputed":1,"tokensWritten":1,"draftsProposed":0,"draftsAccepted":0,"seconds":1,"notices":[]}';
  it.each([
    ["no answers", `{${OF},"answers":[],${FACTS}}`],
    ["an answer without a text", `{${OF},"answers":[{"tokens":[1],"margins":[1],"finish":"end"}],${FACTS}}`],
    ["tokens that are none", `{${OF},"answers":[{"text":"","tokens":[-1],"margins":[1],"finish":"end"}],${FACTS}}`],
    ["a margin too few", `{${OF},"answers":[{"text":"","tokens":[1],"margins":[],"finish":"end"}],${FACTS}}`],
    ["margins that are none", `{${OF},"answers":[{"text":"","tokens":[1],"margins":[null],"finish":"end"}],${FACTS}}`],
    ["an end of another kind", `{${OF},"answers":[{"text":"","tokens":[1],"margins":[1],"finish":"?"}],${FACTS}}`],
    ["answers without facts", `{${OF},"answers":[{"text":"","tokens":[1],"margins":[1],"finish":"end"}]}`],
    ["scores without a metric", `{${OF},"scores":[1]}`],
    ["scores that are none", `{${OF},"metric":"f1","scores":[null]}`],
    ["a batch of nothing", `{${OF}}`],
  ])("takes nothing of %s", async (_, line) => {
    await answered();
    await appendFile(path, `${line}\n`);
    await using journal = await opened({ resume: true });
    expect(journal.notices[0]).toContain("line 5 is cut or damaged");
    expect((await answersOf(journal)).answers(0, FULL)).toEqual(WRITTEN);
  });
});

describe("a journal that was cut", () => {
  it("at any byte gives back all whole lines, and goes on behind them", async () => {
    await written();
    const whole = await readFile(path);
    const ends = [...whole.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1);
    for (let bytes = 0; bytes < whole.length; bytes += 7) {
      await writeFile(path, whole.subarray(0, bytes));
      const found = await known();
      const kept = ends.filter((end) => end <= bytes).length;
      expect(found.check).toEqual(kept > 2 ? CHECK : null);
      expect(found.sums).toEqual(ALL.map((sums, index) => (kept > index + 3 ? sums : undefined)));
      const cut = kept > 0 && !ends.includes(bytes);
      expect(found.notices.some((notice) => notice.includes(`line ${kept + 1} is cut or damaged`))).toBe(cut);
      const now = await readFile(path, "utf8");
      expect(now.endsWith("\n")).toBe(true);
      expect(
        now
          .trimEnd()
          .split("\n")
          .every((line) => typeof JSON.parse(line) === "object"),
      ).toBe(true);
    }
  });

  it("in the middle drops the broken line and what follows it", async () => {
    await written();
    const all = await lines();
    await writeFile(path, [...all.slice(0, 4), all[4]!.slice(0, -5), ...all.slice(5)].join("\n"));
    const found = await known();
    expect(found.sums).toEqual([SUMS[0], undefined, undefined, undefined]);
    expect(found.notices[0]).toContain("line 5 is cut or damaged");
  });

  it.each([
    ["numbers that are none", '{"set":"samples","batch":1,"strengths":"00","sums":[null]}'],
    ["a second header", `{"schema":"lora-boundary/journal@1","inputs":{}}`],
    ["a check of another kind", '{"set":"samples","check":{"replay":"maybe"}}'],
    ["another object", "{}"],
    ["a list", "[]"],
  ])("takes nothing of %s", async (_, line) => {
    await written();
    await appendFile(path, `${line}\n`);
    expect((await known()).notices[0]).toContain("line 7 is cut or damaged");
    expect((await lines()).length).toBe(7);
  });
});

describe("what is refused", () => {
  it("another run, by the names of what has changed", async () => {
    await written();
    const machine = await failure(opened({ resume: true }, { ...INPUTS, threads: "2" }));
    expect(machine).toMatchObject({ code: "JOURNAL_OTHER_RUN", exitCode: 3 });
    expect(machine.message).toContain("another run: threads (1 then, 2 now). ");
    await using journal = await opened({ resume: true });
    const data = await failure(journal.storeOf("samples", { samples: "d".repeat(64) }, BATCHES));
    expect(data).toMatchObject({ code: "JOURNAL_OTHER_RUN" });
    expect(data.message).toContain("samples (bbbbbbbbbbbb then, dddddddddddd now)");
    expect((await known()).sums).toEqual(ALL);
  });

  it("to begin anew over a run that has not ended, unless forced", async () => {
    await written();
    const before = await readFile(path, "utf8");
    expect(await failure(opened())).toMatchObject({ code: "JOURNAL_UNFINISHED", exitCode: 2 });
    expect(await readFile(path, "utf8")).toBe(before);
    expect((await known({ force: true })).sums).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("but not over one that has; it can be resumed as well, and is then open again", async () => {
    await written({ finish: true });
    expect((await known()).sums).toEqual(ALL);
    await using journal = await opened({ resume: true });
    await journal.finish();
    expect((await lines()).filter((line) => line === '{"finished":true}')).toHaveLength(1);
    const store = await journal.storeOf("samples", SAMPLES, BATCHES);
    await store.store(1, BASE, SUMS[1]);
    expect(await failure(opened())).toMatchObject({ code: "JOURNAL_UNFINISHED" });
    await journal.finish();
    expect((await known({})).sums).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("any other file, whatever is set", async () => {
    for (const content of ["mine", '{"schema":"other"}\n', "x".repeat(2 ** 20 + 10)]) {
      await writeFile(path, content);
      for (const options of [{}, { resume: true }, { force: true }, { resume: true, force: true }]) {
        expect(await failure(opened(options))).toMatchObject({ code: "JOURNAL_FOREIGN", exitCode: 2 });
      }
      expect(await readFile(path, "utf8")).toBe(content);
    }
    expect(await failure(Journal.open({ path: join(folder.path, "no/run.journal") }, INPUTS))).toMatchObject({
      code: "TARGET_UNWRITABLE",
      exitCode: 5,
    });
    await truncate(path, 0);
    expect((await known({})).notices).toEqual([]);
  });
});
