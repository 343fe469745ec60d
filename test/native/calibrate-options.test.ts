import { describe, expect, test } from "vitest";
import { calibrate, loadModel, plan, readSamples, type CalibrateOptions, type Sample } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";

describe("plan and calibrate refuse the same options, before anything runs", () => {
  const wrong: readonly (readonly [string, object, string])[] = [
    ["margin", { margin: 5 }, "MARGIN_RANGE"],
    ["confidence", { confidence: 2 }, "CONFIDENCE_RANGE"],
    ["families", { families: ["foo"] }, "FAMILIES_RANGE"],
    ["no families", { families: [] }, "FAMILIES_RANGE"],
    ["goal", { goal: "x" }, "GOAL_RANGE"],
    ["hash", { hash: "zz" }, "HASH_RANGE"],
    ["signal", { signal: {} }, "SIGNAL_TYPE"],
  ];
  test.each(wrong)("%s", async (_, options, code) => {
    await using it = await loadTrio(2);
    await expect(calibrate(it.adapter, it.set, options as CalibrateOptions)).rejects.toMatchObject({
      code,
      exitCode: 2,
    });
    await expect(plan(it.adapter, it.set, options)).rejects.toMatchObject({ code, exitCode: 2 });
  });
});

describe("samples made by hand", () => {
  const sample = (changes: Partial<Sample>): Sample => ({
    tokens: Int32Array.of(0, 5, 6),
    scored: Uint8Array.of(0, 0, 1),
    group: "0",
    line: 1,
    ...changes,
  });
  const wrong: readonly (readonly [string, Partial<Sample>])[] = [
    ["nothing scored", { scored: new Uint8Array(3) }],
    ["the first token scored", { scored: Uint8Array.of(1, 0, 1) }],
    ["one token", { tokens: Int32Array.of(4), scored: Uint8Array.of(0) }],
    ["other lengths", { scored: Uint8Array.of(0, 1) }],
  ];
  test.each(wrong)("%s: SAMPLE_SHAPE names the sample", async (_, changes) => {
    await using it = await loadTrio(2);
    const scoring = it.adapter.score([sample({}), sample(changes)], allBoundaries(12).slice(0, 1), { threads: 1 });
    await expect(scoring).rejects.toMatchObject({ code: "SAMPLE_SHAPE", exitCode: 2, details: { sample: 1 } });
  });
});

test("copies of one sample are one piece of evidence: nothing is claimed", async () => {
  await using it = await loadTrio(1);
  const row = { prompt: "Data: name: The Red Fox\nText:", completion: " The Red Fox is an inn." };
  const set = await readSamples(
    Array.from({ length: 12 }, () => row),
    it.model,
  );
  expect(set.groups).toBe(1);
  expect(set.notices.join(" ")).toContain("repeats count as one piece of evidence");
  await expect(calibrate(it.adapter, set, { threads: 1 })).rejects.toMatchObject({ code: "TOO_FEW_SAMPLES" });
});

test("a progress callback that throws rejects the call, and the process lives on", async () => {
  const failure = new Error("mine");
  const loading = loadModel(DEMO.base, {
    onProgress: () => {
      throw failure;
    },
  });
  // Loading may be over before the first report.
  const outcome = await loading.then(
    (model) => model.dispose(),
    (error: unknown) => error,
  );
  expect([undefined, failure]).toContain(outcome);
});

test("devices without a GPU backend are refused", async () => {
  await expect(loadModel(DEMO.base, { devices: ["CUDA0"] })).rejects.toMatchObject({ code: "GPU_NONE", exitCode: 2 });
  await expect(loadModel(DEMO.base, { gpuLayers: 3 })).rejects.toMatchObject({ code: "GPU_NONE", exitCode: 2 });
});
