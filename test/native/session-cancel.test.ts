import { describe, expect, test } from "vitest";
import { calibrate, CancelledError, loadModel, plan, type CalibrationResult, type SampleSet } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries, candidate, differing } from "../support/engine-samples.js";
import { loadTrio, type Trio } from "../support/engine-trio.js";

/** The same samples over and over, so that there is something to interrupt. */
function manySamples({ set }: Trio, count: number): SampleSet {
  const samples = Array.from({ length: count }, (_, index) => ({
    ...set.samples[index % set.samples.length]!,
    group: String(index),
    line: index + 1,
  }));
  return { ...set, samples, groups: count };
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "nothing failed",
    (error: unknown) => error,
  );
}

describe("AbortSignal", () => {
  test("stops in the middle of one long native run, within a second", async () => {
    await using it = await loadTrio(4);
    const { samples } = manySamples(it, 40);
    await using session = it.adapter.openSession(samples, { threads: 1, batchTokens: 2 ** 14 });
    const full = allBoundaries(12).slice(12);
    expect(session.batches).toHaveLength(1);
    const started = performance.now();
    await session.score(full);
    const whole = performance.now() - started;

    const controller = new AbortController();
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort();
    }, whole / 4);
    const error = await failure(session.score(full, { signal: controller.signal }));
    const waited = performance.now() - aborted;
    expect(error).toBeInstanceOf(CancelledError);
    expect(error).toMatchObject({ code: "CANCELLED", exitCode: 130 });
    expect(waited).toBeLessThan(1000);
  });

  test("a stopped session goes on with other work, with the same bits", async () => {
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, { threads: 1, batchTokens: 128 });
    const candidates = allBoundaries(12);
    const before = await session.score(candidates);
    for (const share of [0.1, 0.8]) {
      const controller = new AbortController();
      const stopped = session.score(candidates, {
        signal: controller.signal,
        onProgress: ({ done, total }) => {
          if (done > share * total) controller.abort();
        },
      });
      expect(await failure(stopped)).toBeInstanceOf(CancelledError);
      expect(differing(candidates, await session.score(candidates), before)).toEqual([]);
    }
  });

  test("a signal that has fired before stops everything at once", async () => {
    await using it = await loadTrio(2);
    const signal = AbortSignal.abort();
    expect(await failure(it.adapter.score(it.set.samples, allBoundaries(12), { signal, threads: 1 }))).toBeInstanceOf(
      CancelledError,
    );
    expect(await failure(loadModel(DEMO.base, { signal }))).toBeInstanceOf(CancelledError);
    expect(await failure(it.model.loadAdapter(DEMO.adapter, { signal }))).toBeInstanceOf(CancelledError);
    expect(await failure(plan(it.adapter, it.set, { signal, threads: 1 }))).toBeInstanceOf(CancelledError);
    const error = await failure(calibrate(it.adapter, it.set, { signal, threads: 1 }));
    expect(error).toBeInstanceOf(CancelledError);
  });
});

describe("calibrate, cancelled", () => {
  test("the samples that were complete are a sound result of their own", async () => {
    await using it = await loadTrio(5);
    const options = { threads: 1, batchTokens: 128 };
    const complete = await calibrate(it.adapter, it.set, options);
    const controller = new AbortController();
    const error = await failure(
      calibrate(it.adapter, it.set, {
        ...options,
        signal: controller.signal,
        onProgress: ({ stage, done, total }) => {
          if (stage === "boundary" && done > 0.6 * total) controller.abort();
        },
      }),
    );
    expect(error).toBeInstanceOf(CancelledError);
    const partial = (error as CancelledError).details["partial"] as CalibrationResult;
    expect(partial.schema).toBe("lora-boundary/calibration@1");
    const { lines } = partial.data;
    expect(lines.length).toBeGreaterThanOrEqual(2);
    expect(lines.length).toBeLessThan(5);
    expect(partial.data).toMatchObject({ samples: lines.length, groups: lines.length });
    expect(partial.candidates.map(({ id }) => id)).toEqual(complete.candidates.slice(0, 13).map(({ id }) => id));
    for (const [index, { perSample, samples, mean }] of partial.candidates.entries()) {
      const expected = lines.map((line) => complete.candidates[index]!.perSample[complete.data.lines.indexOf(line)]!);
      expect(perSample).toEqual(expected);
      expect(samples).toBe(lines.length);
      expect(mean).toBeCloseTo(expected.reduce((sum, score) => sum + score, 0) / lines.length, 12);
    }
    expect(partial.cost.passes).toBeLessThan(complete.cost.passes);
  });

  test("before two samples were complete there is none", async () => {
    await using it = await loadTrio(3);
    const controller = new AbortController();
    const error = await failure(
      calibrate(it.adapter, it.set, {
        threads: 1,
        batchTokens: 2,
        signal: controller.signal,
        onProgress: ({ stage, done }) => {
          if (stage === "boundary" && done > 0) controller.abort();
        },
      }),
    );
    expect(error).toMatchObject({ code: "CANCELLED", details: { partial: null } });
  });
});

describe("the event loop", () => {
  test("turns while a run computes: the longest gap of a 10 ms timer is a small part of it", async () => {
    await using it = await loadTrio(4);
    const { samples } = manySamples(it, 30);
    await using session = it.adapter.openSession(samples, { threads: 1, batchTokens: 2 ** 14 });
    let last = performance.now();
    let longest = 0;
    let ticks = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      ticks += 1;
    }, 10);
    try {
      await session.score([candidate("full", new Array<number>(12).fill(1))]);
    } finally {
      clearInterval(timer);
    }
    const run = session.facts.nativeSeconds * 1000;
    expect(longest).toBeLessThan(run / 3);
    expect(ticks).toBeGreaterThan(10);
  });
});
