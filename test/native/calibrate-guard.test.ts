import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  calibrate,
  plan,
  readSamples,
  scoreShard,
  type CalibrateOptions,
  type CalibrationResult,
  type SampleSet,
} from "../../src/index.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { firstRows, loadTrio, type Trio } from "../support/engine-trio.js";
import { PLAIN_TEXT } from "../support/guard-rows.js";
import { violations } from "../support/json-schemas.js";

const OPTIONS = { threads: 1, batchTokens: 192, margin: 0.3 } as const;
let trio: Trio;
let guard: SampleSet;
let folder: { readonly path: string } & AsyncDisposable;
let unguarded: CalibrationResult;

const guardOf = async (from: number, to: number) =>
  await readSamples((await firstRows(DEMO.samples, to)).slice(from), trio.model);

beforeAll(async () => {
  folder = await temporaryFolder();
  trio = await loadTrio(12);
  guard = await guardOf(60, 72);
  unguarded = await calibrate(trio.adapter, trio.set, OPTIONS);
});

afterAll(async () => {
  await trio[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const run = (options: CalibrateOptions) => calibrate(trio.adapter, trio.set, { ...OPTIONS, guard, ...options });
const refused = (options: CalibrateOptions) =>
  run(options).then(
    () => "nothing",
    (error: unknown) => error,
  );
const answer = ({ createdAt, cost, guard: section, ...rest }: CalibrationResult) => {
  expect([typeof createdAt, typeof cost.seconds, typeof section]).toEqual(["string", "number", "object"]);
  return rest;
};
const proven = ({ candidates }: CalibrationResult) =>
  candidates.slice(0, -1).flatMap(({ id, verdict }) => (verdict === "not-worse" ? [id] : []));

describe("a guard set", () => {
  test("is scored for what could be selected, as those samples score alone; the search is the same", async () => {
    const told: unknown[] = [];
    const result = await run({ guardMargin: 0.99, onGuard: (notice) => told.push(notice) });
    const section = result.guard!;
    const examined = proven(unguarded);
    expect(examined.length).toBeGreaterThan(1);
    expect(section).toMatchObject({ state: "examined", margin: 0.99, samples: 12, groups: guard.groups, path: null });
    expect(section.candidates.map(({ id }) => id)).toEqual(["upto:0", "upto:12", ...examined]);
    expect(told).toEqual([
      { candidates: examined.length, samples: 12, passes: expect.closeTo(section.passes, 9) as number },
    ]);
    const chosen = unguarded.candidates.filter(({ id }) => examined.includes(id));
    const scores = await trio.adapter.score(
      guard.samples,
      chosen.map(({ id, family, layerScales }) => ({ id, family, layerScales, inputScale: 1, outputScale: 0 })),
      OPTIONS,
    );
    expect(section.candidates.slice(2).map(({ perSample }) => perSample)).toEqual(
      scores.map((column) => Array.from(column)),
    );
    expect(result.candidates).toEqual(unguarded.candidates);
    expect(violations(JSON.parse(JSON.stringify(result)) as object)).toEqual([]);
  });

  test("the first choice that passes is selected; the others keep their verdicts", async () => {
    const text = await readSamples(PLAIN_TEXT, trio.model);
    const strict = await run({ guard: text, guardMargin: 0.05 });
    expect(unguarded.selected!.candidate.id).toBe("upto:7");
    expect(strict.guard!.candidates.slice(2, 4)).toMatchObject([
      { id: "upto:7", verdict: "unproven" },
      { id: "upto:8", verdict: "not-worse" },
    ]);
    expect(strict.selected!.candidate.id).toBe("upto:8");
    expect(proven(strict)).toEqual(proven(unguarded));
  });

  test("nothing is selected where none passes, and it says so", async () => {
    const result = await run({ guardMargin: 0.01 });
    expect(result.guard!.candidates.slice(2).map(({ verdict }) => verdict)).not.toContain("not-worse");
    expect(result.selected).toBeNull();
    expect(result.noSelection!.sentence).toContain("on the guard set");
  });

  test("fewer than eight independent samples: said before, and nothing is selected", async () => {
    const notices: string[] = [];
    const few = await guardOf(60, 65);
    const result = await run({ guard: few, guardMargin: 0.99, onNotice: (notice) => notices.push(notice) });
    expect(notices).toEqual([expect.stringContaining("5 independent samples, and fewer than 8 prove nothing")]);
    expect(result.selected).toBeNull();
    expect(result.guard!.notices).toEqual(expect.arrayContaining(notices));
  });

  test("nothing is scored on it where the samples let nothing be selected", async () => {
    const result = await run({ goal: "quality" });
    expect(result.guard).toMatchObject({ state: "nothing", candidates: [], criticalValue: null, passes: 0 });
  });

  test("is in the plan, apart", async () => {
    const without = await plan(trio.adapter, trio.set, { ...OPTIONS, measure: false });
    const { guard: planned, ...rest } = await plan(trio.adapter, trio.set, { ...OPTIONS, guard, measure: false });
    expect(without.guard).toBeNull();
    expect({ ...rest, memory: null }).toEqual({ ...without, guard: undefined, memory: null });
    expect(rest.memory.states).toBeGreaterThan(without.memory.states);
    expect(planned).toMatchObject({ samples: 12, independentSamples: guard.groups, seconds: null });
    expect(planned!.passes).toBeGreaterThan(6.5);
  });
});

describe("a guarded run that ends early", () => {
  test("cancelled before the guard is scored, it selects nothing", async () => {
    const stop = new AbortController();
    const error = await refused({
      guardMargin: 0.99,
      signal: stop.signal,
      onGuard: () => {
        stop.abort();
      },
    });
    expect(error).toMatchObject({
      code: "CANCELLED",
      details: {
        partial: {
          ...{ partial: { stage: "guard", cause: "cancelled" }, selected: null, guard: { state: "not-reached" } },
          noSelection: { sentence: "The guard set was not scored before the run ended, so nothing is selected." },
        },
      },
    });
  });

  test("out of its budget, it is examined all the same", async () => {
    const result = await run({ guardMargin: 0.99, budget: 1e-6 });
    expect(result.partial).toMatchObject({ cause: "budget", stage: "boundary" });
    expect(result.guard!.state).not.toBe("not-reached");
  });
});

describe("its journal", () => {
  const journaled = (name: string, options: CalibrateOptions) =>
    run({ guardMargin: 0.99, ...options, journal: { path: join(folder.path, name), resume: true } });

  test("takes up what is known, and a guard may be added; the result is the same", async () => {
    const expected = await run({ guardMargin: 0.99 });
    await calibrate(trio.adapter, trio.set, { ...OPTIONS, journal: { path: join(folder.path, "added") } });
    const stop = new AbortController();
    const stopped = journaled("added", {
      signal: stop.signal,
      onProgress: ({ stage, done }) => {
        if (stage === "guard" && done > 0) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "CANCELLED" });
    for (let round = 0; round < 2; round++) {
      const resumed = await journaled("added", {});
      expect(answer(resumed)).toEqual(answer(expected));
      expect(resumed.guard).toEqual(expected.guard);
    }
    // A margin is a judgement.
    expect((await journaled("added", { guardMargin: 0.01 })).selected).toBeNull();
  });

  test("refuses another guard set by name", async () => {
    await journaled("other", {});
    const error = await journaled("other", { guard: await guardOf(72, 84) }).catch((it: unknown) => it);
    expect(error).toMatchObject({
      code: "JOURNAL_OTHER_RUN",
      message: expect.stringContaining("guard set: samples (") as string,
    });
  });
});

describe("bad input", () => {
  test("the samples themselves, or nothing but some of them", async () => {
    for (const same of [trio.set, await guardOf(2, 11)]) {
      expect(await refused({ guard: same })).toMatchObject({ code: "GUARD_SAME", exitCode: 2 });
    }
    const notices: string[] = [];
    await run({ guard: await guardOf(10, 20), onNotice: (notice) => notices.push(notice) });
    expect(notices).toEqual(["2 of 10 guard samples are among the samples: on them the guard says nothing new."]);
  });

  test("one sample, and margins out of range or alone", async () => {
    expect(await refused({ guard: await guardOf(60, 61) })).toMatchObject({ code: "GUARD_TOO_FEW", exitCode: 3 });
    for (const guardMargin of [0, 1, -1, NaN]) {
      expect(await refused({ guardMargin })).toMatchObject({ code: "GUARDMARGIN_RANGE", exitCode: 2 });
    }
    expect(await refused({ guard: undefined, guardMargin: 0.1 })).toMatchObject({ code: "GUARDMARGIN_RANGE" });
  });

  test("a part of a run", async () => {
    const part = scoreShard(trio.adapter, trio.set, { index: 1, of: 2 }, { ...OPTIONS, guard, strategy: "exhaustive" });
    await expect(part).rejects.toMatchObject({ code: "SHARD_GUARD", exitCode: 2 });
  });
});
