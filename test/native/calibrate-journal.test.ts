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

/** Runs with a journal; the share of the work that was computed is what progress went through. */
async function journaled(name: string, options: CalibrateOptions = {}, resume = true) {
  const seen: number[] = [];
  const notices: string[] = [];
  const result = await calibrate(trio.adapter, trio.set, {
    ...OPTIONS,
    ...options,
    journal: { path: join(folder.path, name), resume },
    onNotice: (notice) => notices.push(notice),
    onProgress: ({ stage, done }) => {
      if (stage === "boundary" || stage === "controls") seen.push(done);
    },
  });
  return { result, notices, runs: seen.length };
}

describe("a run with a journal", () => {
  test("is the run without one; again it computes nothing", async () => {
    const first = await journaled("whole", {}, false);
    expect(lasting(first.result)).toEqual(lasting(expected));
    expect(first.runs).toBeGreaterThan(26);
    const again = await journaled("whole");
    expect(lasting(again.result)).toEqual(lasting(expected));
    expect(again.runs).toBe(0);
    expect(again.notices.at(-1)).toMatch(/\d+ finished scores are taken from it/);
  });

  test("stopped again and again, it ends as if it had never been", async () => {
    let stops = 0;
    for (;;) {
      const stop = new AbortController();
      let runs = 0;
      const path = join(folder.path, "stopped");
      const ended = await calibrate(trio.adapter, trio.set, {
        ...OPTIONS,
        ...{ signal: stop.signal, journal: { path, resume: true } },
        onProgress: ({ stage }) => {
          // The first batch is stored when the self-check has spoken, so the first stop has to wait for it.
          if (stage === "boundary" && (runs += 1) === (stops === 0 ? 20 : 9)) stop.abort();
        },
      }).catch((error: unknown) => error);
      if (!(ended instanceof Error)) {
        expect(lasting(ended as CalibrationResult)).toEqual(lasting(expected));
        break;
      }
      expect(ended).toMatchObject({ code: "CANCELLED" });
      stops += 1;
      expect(stops).toBeLessThan(20);
    }
    expect(stops).toBeGreaterThan(2);
  });

  test("judgements may change and reuse every score; the controls are added where they are asked for", async () => {
    await journaled("judged", {}, false);
    const other = { margin: 0.3, confidence: 0.8, goal: "quality" } as const;
    const judged = await journaled("judged", other);
    expect(judged.runs).toBe(0);
    expect(lasting(judged.result)).toEqual(lasting(await calibrate(trio.adapter, trio.set, { ...OPTIONS, ...other })));
    const families = ["boundary", "scale"] as const;
    const more = await journaled("judged", { families });
    expect(more.runs).toBeGreaterThan(0);
    expect(lasting(more.result)).toEqual(lasting(await calibrate(trio.adapter, trio.set, { ...OPTIONS, families })));
    expect((await journaled("judged", { families })).runs).toBe(0);
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
    const set = { ...trio.set, samples: trio.set.samples.slice(1) };
    const other = calibrate(trio.adapter, set, {
      ...OPTIONS,
      journal: { path: join(folder.path, "inputs"), resume: true },
    });
    await expect(other).rejects.toMatchObject({ code: "JOURNAL_OTHER_RUN", exitCode: 3 });
  });
});
