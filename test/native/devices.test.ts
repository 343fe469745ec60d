import { describe, expect, test } from "vitest";
import { engineFacts, loadModel } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";

/** Backends that this platform cannot have: an explicit choice must not fall back to anything. */
const FOREIGN = process.platform === "darwin" ? (["cuda", "vulkan"] as const) : (["metal"] as const);

describe("where a model is computed", () => {
  test("by default on the CPU, with nothing to say about it", async () => {
    await using model = await loadModel(DEMO.base);
    expect(model.placement).toMatchObject({ backend: "CPU", devices: [], gpuLayers: 0, notice: null });
  });

  test("auto always works, and says what it took and why", async () => {
    await using model = await loadModel(DEMO.base, { gpu: "auto" });
    const { backend, devices, notice } = model.placement;
    const { devices: present } = await engineFacts();
    if (backend === "CPU") {
      expect(devices).toEqual([]);
      expect(notice).toMatch(/^Computing on the CPU: .*(no device|not load|no such backend)/);
    } else {
      expect(present.map(({ name }) => name)).toEqual(expect.arrayContaining([...devices]));
      expect(notice).toMatch(/^Computing on .* the first GPU/);
    }
  });

  test.each(FOREIGN)("%s, which this platform cannot have, is an error that says what was tried", async (gpu) => {
    await expect(loadModel(DEMO.base, { gpu })).rejects.toMatchObject({
      code: "GPU_MISSING",
      exitCode: 5,
      details: { gpu, tried: [expect.stringContaining("no such backend")] },
    });
  });

  test("options out of range are refused before anything is loaded", async () => {
    const gpu = "opencl" as "cuda";
    await expect(loadModel(DEMO.base, { gpu })).rejects.toMatchObject({ code: "GPU_RANGE", exitCode: 2 });
    await expect(loadModel(DEMO.base, { gpuLayers: -2 })).rejects.toMatchObject({ code: "GPU_LAYERS_RANGE" });
    const splitMode = "columns" as "row";
    await expect(loadModel(DEMO.base, { gpu: "auto", splitMode })).rejects.toMatchObject({ code: "SPLIT_MODE_RANGE" });
    for (const tensorSplit of [[0, 0], [-1], [NaN]]) {
      await expect(loadModel(DEMO.base, { gpu: "auto", tensorSplit })).rejects.toMatchObject({
        code: "TENSOR_SPLIT_RANGE",
        exitCode: 2,
      });
    }
    await expect(loadModel(DEMO.base, { tensorSplit: [1] })).rejects.toMatchObject({ code: "GPU_NONE" });
  });
});
