import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { calibrate, type CalibrateOptions, type CalibrationResult } from "../../src/index.js";
import { temporaryFolder } from "../support/engine-files.js";
import { loadTrio, type Trio } from "../support/engine-trio.js";

const OPTIONS = { threads: 1, batchTokens: 192, margin: 0.1 } as const;
let trio: Trio;
let folder: { readonly path: string } & AsyncDisposable;
let expected: CalibrationResult;

beforeAll(async () => {
  folder = await temporaryFolder();
  trio = await loadTrio(9);
  expected = await calibrate(trio.adapter, trio.set, OPTIONS);
});

afterAll(async () => {
  await trio[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function lasting({ createdAt, command, cost: { seconds, ...cost }, ...rest }: CalibrationResult) {
  expect([typeof createdAt, typeof seconds, Array.isArray(command)]).toEqual(["string", "number", true]);
  return { ...rest, cost };
}

/** Scores that a journal holds: each was computed once. */
function storedIn(name: string): number {
  try {
    return readFileSync(join(folder.path, name), "utf8").split('"sums":').length - 1;
  } catch {
    return 0;
  }
}

function bytesOf(name: string): number {
  return statSync(join(folder.path, name), { throwIfNoEntry: false })?.size ?? 0;
}

/** Runs with a journal; what is computed is what it then holds more. */
async function journaled(name: string, options: CalibrateOptions = {}, resume = true) {
  const notices: string[] = [];
  const before = resume ? storedIn(name) : 0;
  const result = await calibrate(trio.adapter, trio.set, {
    ...OPTIONS,
    ...options,
    journal: { path: join(folder.path, name), resume },
    onNotice: (notice) => notices.push(notice),
  });
  return { result, notices, computed: storedIn(name) - before };
}

/** The same, stopped as soon as the journal has so many bytes more; null: it was. */
async function stoppedAfter(name: string, bytes: number, options: CalibrateOptions = {}) {
  const stop = new AbortController();
  const before = bytesOf(name);
  const watch = setInterval(() => {
    if (bytesOf(name) >= before + bytes) stop.abort();
  }, 2);
  try {
    return (await journaled(name, { ...options, signal: stop.signal })).result;
  } catch (error) {
    expect(error).toMatchObject({ code: "CANCELLED" });
    return null;
  } finally {
    clearInterval(watch);
  }
}

describe("a run with a journal", () => {
  test("is the run without one; again it computes nothing", async () => {
    const first = await journaled("whole", {}, false);
    expect(lasting(first.result)).toEqual(lasting(expected));
    expect(first.computed).toBeGreaterThan(26);
    const again = await journaled("whole");
    expect(lasting(again.result)).toEqual(lasting(expected));
    expect(again.computed).toBe(0);
    expect(again.notices.at(-1)).toMatch(/\d+ finished scores are taken from it/);
  });

  test("stopped again and again, it ends as if it had never been", async () => {
    let stops = 0;
    let ended = await stoppedAfter("stopped", bytesOf("whole") / 8);
    for (; ended === null; stops++) {
      expect(stops).toBeLessThan(20);
      ended = await stoppedAfter("stopped", bytesOf("whole") / 8);
    }
    expect(lasting(ended)).toEqual(lasting(expected));
    expect(stops).toBeGreaterThan(2);
  });

  test("judgements may change and reuse every score; the controls are added where they are asked for", async () => {
    await journaled("judged", {}, false);
    const other = { margin: 0.3, confidence: 0.8, goal: "quality" } as const;
    const judged = await journaled("judged", other);
    expect(judged.computed).toBe(0);
    expect(lasting(judged.result)).toEqual(lasting(await calibrate(trio.adapter, trio.set, { ...OPTIONS, ...other })));
    const families = ["boundary", "scale"] as const;
    const more = await journaled("judged", { families });
    expect(more.computed).toBeGreaterThan(0);
    expect(lasting(more.result)).toEqual(lasting(await calibrate(trio.adapter, trio.set, { ...OPTIONS, families })));
    expect((await journaled("judged", { families })).computed).toBe(0);
  });

  test("inputs may not: packing, threads and samples are refused by name", async () => {
    await journaled("inputs", {}, false);
    const refused = (options: CalibrateOptions) =>
      journaled("inputs", options).then(
        () => "",
        (error: unknown) => (error as Error).message,
      );
    expect(await refused({ batchTokens: 256 })).toMatch(/another run: packing .*192 tokens.*256 tokens/);
    expect(await refused({ threads: 2 })).toMatch(/another run: threads \(1 then, 2 now\)/);
    expect(await refused({ seed: 1 })).toMatch(/another run: seed \(--seed\) \(0 then, 1 now\)/);
    expect(await refused({ sharePrefixes: false })).toMatch(/another run: shared prefixes \(computed .*not shared now/);
    expect(await refused({ families: ["boundary", "subset"] })).toMatch(/samples kept apart .*none then, .*two halves/);
    expect(await refused({ cacheTypeK: "f32" })).toMatch(/another run: context .*f16, f16, \w+ then, auto, f32, f16/);
    await using halves = await trio.model.loadAdapter(trio.adapter.path, { per: "module" });
    const perModule = calibrate(halves, trio.set, {
      ...OPTIONS,
      journal: { path: join(folder.path, "inputs"), resume: true },
    });
    await expect(perModule).rejects.toThrow(/\(--per\) \(layer then, module now\)/);
    const set = { ...trio.set, samples: trio.set.samples.slice(1) };
    const other = calibrate(trio.adapter, set, {
      ...OPTIONS,
      journal: { path: join(folder.path, "inputs"), resume: true },
    });
    await expect(other).rejects.toMatchObject({ code: "JOURNAL_OTHER_RUN", exitCode: 3 });
  });
});

describe.each<[name: string, options: CalibrateOptions]>([
  ["race", { strategy: "race", families: ["boundary", "prefix"], batchTokens: 96 }],
  ["refinement", { families: ["boundary+boost"], batchTokens: 96 }],
  ["subset", { families: ["subset"], holdout: 0.4, subsetSizes: [4], seed: 2 }],
])("with every strategy and family: %s", (name, options) => {
  test("stopped in its middle it ends as if it had never been, and computes nothing twice", async () => {
    const whole = await journaled(`${name}-whole`, options, false);
    expect(whole.result.partial).toBeNull();
    expect(whole.result.subset !== null).toBe(name === "subset");
    expect(await stoppedAfter(name, 0.6 * bytesOf(`${name}-whole`), options)).toBeNull();
    const resumed = await journaled(name, options);
    expect(lasting(resumed.result)).toEqual(lasting(whole.result));
    expect(storedIn(name)).toBe(whole.computed);
    expect(resumed.computed).toBeLessThan(whole.computed / 2);
  });
});

test("a budget that runs out leaves a journal to go on from", async () => {
  const options: CalibrateOptions = { strategy: "race", batchTokens: 96 };
  const short = await journaled("budget", { ...options, budget: 1e-6 });
  expect(short.result.partial).toMatchObject({ cause: "budget", stage: "boundary" });
  await expect(journaled("budget", options, false)).rejects.toMatchObject({ code: "JOURNAL_UNFINISHED" });
  const { result, computed } = await journaled("budget", options);
  const whole = await journaled("budget-whole", options, false);
  expect(lasting(result)).toEqual(lasting(whole.result));
  expect(computed).toBe(whole.computed - short.computed);
});
