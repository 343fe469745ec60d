import { copyFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runProbe, type ProbeTask } from "../../src/engine/gpu-probe.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { buildFakeGpu, hasFakeGpu, withFakeGpu } from "../support/fake-gpu.js";

const CHILD = new URL("../../dist/engine/gpu-probe-child.js", import.meta.url);

describe.skipIf(!hasFakeGpu)(withFakeGpu("the child that tries a GPU backend"), () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let library = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    library = await buildFakeGpu(folder.path);
  });
  afterAll(() => folder[Symbol.asyncDispose]());
  afterEach(() => delete process.env["FAKE_GPU"]);

  const probe = (gpu: string, changes: Partial<ProbeTask> = {}, limit = 60) => {
    process.env["FAKE_GPU"] = gpu;
    return runProbe(CHILD, { backend: "CUDA", library, devices: [], model: DEMO.base, ...changes }, { limit });
  };

  test("computes on all devices, or on those that are named; none of them is nothing to try", async () => {
    const device = { name: "CUDA0", description: "Fake GPU", type: "gpu", backend: "CUDA" };
    for (const devices of [[], ["RPC0", "CUDA0"]]) {
      expect(await probe("works", { devices })).toMatchObject({ devices: [device], failure: null });
    }
    expect(await probe("aborts", { devices: ["CUDA1"] })).toEqual({ devices: [], failure: null });
  });

  test("is ended by a backend whose code the driver cannot run, whose words are told", async () => {
    const { devices, failure } = await probe("aborts");
    expect(devices).toHaveLength(1);
    expect(failure).toMatch(
      /^a trial on CUDA0 \(Fake GPU\) was ended by SIGABRT: CUDA error: the provided PTX was compiled with an unsupported toolchain\.; current device: 0, .*; .*fake-gpu\.cc:\d+: CUDA error$/,
    );
  });

  test("is ended by a library that aborts while it is loaded, before any device is known", async () => {
    const { devices, failure } = await probe("unloadable");
    expect(devices).toEqual([]);
    expect(failure).toMatch(/^a trial was ended by SIGABRT: .*fake-gpu\.cc:\d+: no kernel image$/);
  });

  test("is stopped where the device never answers", async () => {
    const { failure } = await probe("hangs", {}, 5);
    expect(failure).toBe("a trial on CUDA0 (Fake GPU) did not end within 5 s, so it was stopped");
  });

  test("fails on a damaged model, with what llama.cpp says", async () => {
    const model = join(folder.path, "cut.gguf");
    await copyFile(DEMO.base, model);
    await truncate(model, 1_000_000);
    const { failure } = await probe("works", { model });
    expect(failure).toMatch(
      /^a trial on CUDA0 \(Fake GPU\) ended with exit code 1: llama\.cpp could not load .*cut\.gguf/,
    );
  });

  test("leaves it to the caller to say that there is no such backend", async () => {
    expect(await probe("works", { library: null })).toEqual({ devices: [], failure: null });
    expect(await probe("works", { library: DEMO.base })).toEqual({ devices: [], failure: null });
  });
});
