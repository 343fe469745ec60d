import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { DEMO } from "../support/engine-files.js";
import { SCORER_DEFAULTS, addonFiles, nativeDemo } from "../support/native-jobs.js";

const SCRIPT = fileURLToPath(new URL("../support/fuzz-addon.mjs", import.meta.url));

interface FuzzReport {
  readonly calls: number;
  readonly count: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly sums: readonly number[];
}

async function fuzz(seed: number, calls: number): Promise<FuzzReport> {
  const { addon, libraries } = addonFiles();
  const args = [SCRIPT, addon, libraries, DEMO.base, DEMO.adapter, String(seed), String(calls)];
  // A crash ends the child by a signal, and execFile rejects.
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as FuzzReport;
}

/** What junk may lead to: wrong types are TypeErrors, wrong values and files have a code. */
const ALLOWED = new Set([
  "returned",
  "promise",
  "resolved",
  "threw TypeError",
  "threw getter",
  "threw Error BAD_ARGUMENT",
  "threw Error DISPOSED",
  "threw Error NO_BACKEND",
  "rejected Error ADAPTER_LOAD",
  "rejected Error BAD_ARGUMENT",
  "rejected Error MODEL_LOAD",
  "rejected Error NO_DEVICE",
]);

describe("junk", () => {
  test.each([1, 2, 3])(
    "2,000 calls of every function and method, seed %i: no crash, and known errors only",
    async (seed) => {
      const { calls, count, sums } = await fuzz(seed, 2000);
      expect(calls).toBe(2000);
      const unexpected = Object.entries(count).flatMap(([name, outcomes]) =>
        Object.keys(outcomes).flatMap((outcome) => (ALLOWED.has(outcome) ? [] : [`${name} ${outcome}`])),
      );
      expect(unexpected).toEqual([]);
      expect(Object.keys(count)).toHaveLength(31);
      // Three tokens, two of them scored, in each sample: still the same answer as before any junk.
      expect(sums).toHaveLength(2);
      expect(sums.every((sum) => sum > 0 && sum < 100)).toBe(true);
    },
  );
});

describe("wrong options, one at a time", () => {
  test("every option of every job is named in its TypeError", async () => {
    const { addon, model, scorer, run } = await nativeDemo();
    const { control } = run;
    const shape = { maxTokens: 8, maxSequences: 1, maxRows: 8, rowsOfSequence: 8, ...SCORER_DEFAULTS };
    const calls: [string, (options: never) => unknown, object][] = [
      ["loadModel", addon.loadModel.bind(addon), { path: DEMO.base, gpuLayers: 0, devices: [], control }],
      [
        "loadAdapter",
        addon.loadAdapter.bind(addon),
        { model, path: DEMO.adapter, partOfTensor: new Int32Array(168), partsPerLayer: 1, control },
      ],
      ["loadWholeAdapter", addon.loadWholeAdapter.bind(addon), { model, path: DEMO.adapter }],
      ["createScorer", addon.createScorer.bind(addon), { model, ...shape }],
      [
        "simulateMemory",
        addon.simulateMemory.bind(addon),
        { path: DEMO.base, gpuLayers: 0, devices: [], ...shape, control },
      ],
      [
        "setBatch",
        scorer.setBatch.bind(scorer),
        { tokens: Int32Array.of(1, 2), offsets: Int32Array.of(0, 2), scored: Uint8Array.of(0, 1), shared: false },
      ],
      ["borders", scorer.borders.bind(scorer), { adapter: null, control }],
      [
        "run",
        scorer.run.bind(scorer),
        { adapter: null, resumeAt: 0, keepAt: new Int32Array(), logits: "none", control },
      ],
    ];
    for (const [name, call, sound] of calls) {
      for (const option of Object.keys(sound)) {
        for (const junk of [undefined, Symbol("junk"), 0.5, [1]]) {
          const act = () => call({ ...sound, [option]: junk } as never);
          expect(act, `${name} ${option}`).toThrow(TypeError);
          expect(act, `${name} ${option}`).toThrow(`\`${option}\``);
        }
      }
      expect(() => call(undefined as never), name).toThrow("Expected an object for `argument 0`");
    }
  });

  test.each<[Record<string, Int32Array | Uint8Array>, string]>([
    [{ offsets: Int32Array.of(0, 2 ** 31 - 1, 6) }, "ends outside `tokens`"],
    [{ offsets: Int32Array.of(0, 4, 2, 6) }, "fewer than two tokens"],
    [{ offsets: Int32Array.of(0, -(2 ** 31), 6) }, "fewer than two tokens"],
    [{ offsets: Int32Array.of(0, 1, 6) }, "fewer than two tokens"],
    [{ offsets: Int32Array.of(0) }, "disagree"],
    [{ offsets: Int32Array.of(1, 6) }, "disagree"],
    [{ offsets: Int32Array.of(0, 5) }, "disagree"],
    [{ scored: new Uint8Array(5) }, "disagree"],
    [{ scored: new Uint8Array(6) }, "No token of the batch is scored"],
    [{ tokens: Int32Array.of(1, 2, 3, 4, 5, 1024) }, "Token 1024 is outside the vocabulary of 1024"],
    [{ tokens: Int32Array.of(1, -1, 3, 4, 5, 6) }, "Token -1 is outside the vocabulary of 1024"],
    [
      { tokens: new Int32Array(200), offsets: Int32Array.of(0, 200), scored: new Uint8Array(200).fill(1) },
      "larger than the scorer",
    ],
  ])("batch %#", async (change, message) => {
    const { scorer } = await nativeDemo();
    const sound = {
      tokens: Int32Array.of(1, 2, 3, 4, 5, 6),
      offsets: Int32Array.of(0, 3, 6),
      scored: new Uint8Array(6).fill(1),
      shared: false,
    };
    expect(() => {
      scorer.setBatch({ ...sound, ...change });
    }).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) as string }));
  });

  test("a state that was never kept, a border below the start, and strengths of another length", async () => {
    const { scorer, run } = await nativeDemo();
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => "none",
        (error: unknown) => (error as { code: string }).code,
      );
    expect(await code(scorer.run({ ...run, resumeAt: 3 }))).toBe("BAD_ARGUMENT");
    await scorer.run({ ...run, keepAt: Int32Array.of(3) });
    expect(await code(scorer.run({ ...run, resumeAt: 3, keepAt: Int32Array.of(3) }))).toBe("BAD_ARGUMENT");
    expect(await code(scorer.run({ ...run, resumeAt: 3 }))).toBe("none");
    expect(() => scorer.run({ ...run, resumeAt: 12 })).toThrow("an integer from 0 to 11");
    expect(await code(scorer.run({ ...run, logits: "compare" }))).toBe("BAD_ARGUMENT");
  });
});
