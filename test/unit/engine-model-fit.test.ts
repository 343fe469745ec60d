import { describe, expect, it } from "vitest";
import { requireModelFits, weightPlaces, type WeighedModel } from "../../src/engine/model-fit.js";
import { MemoryError } from "../../src/errors.js";
import { parseModel } from "../../src/lora/model-file.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { useFolder } from "../support/data-files.js";
import { gguf, model, tensor, type TypeName } from "../support/gguf-files.js";

const folder = useFolder();
const GIB = 2 ** 30;
const CPU = { gpuLayers: 0, devices: [], backend: "CPU" };
const gpu = (gpuLayers: number) => ({ gpuLayers, devices: ["Vulkan0"], backend: "Vulkan" });
const LARGE = { capacity: 64 * GIB, available: 60 * GIB, swap: 0 };

async function read(contents: ReturnType<typeof model>): Promise<WeighedModel> {
  return parseModel(await readGguf(await folder.write("weighed.gguf", gguf(contents))));
}

/** The model of the tests' writer with sizes that matter: each tensor counts `gibibytes` times its own bytes. */
async function large(gibibytes: number, type: TypeName = "F16"): Promise<WeighedModel> {
  const small = await read(
    type === "F16"
      ? model(4)
      : {
          ...model(4),
          tensors: [
            tensor("token_embd.weight", [32, 12]),
            ...[0, 1, 2, 3].map((layer) => tensor(`blk.${layer}.ffn_down.weight`, [32, 32], type)),
            tensor("output.weight", [32, 12]),
          ],
        },
  );
  const total = [...small.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const factor = (gibibytes * GIB) / total;
  const tensors = new Map([...small.tensors].map(([name, it]) => [name, { ...it, bytes: it.bytes * factor }]));
  return { ...small, tensors };
}

function refusal(call: () => unknown): MemoryError {
  try {
    call();
  } catch (error) {
    if (error instanceof MemoryError) return error;
    throw error;
  }
  throw new Error("Nothing was refused");
}

describe("where weights lie", () => {
  // Bytes: token_embd and output 8 x 12 x 4 = 384, output_norm 32, a layer (8 x 8 + 16 x 8) x 2 = 384.
  it.each([
    [0, { devices: 0, host: 3 * 384 + 384 + 384 + 32, rewritten: 0 }],
    [1, { devices: 384 + 32, host: 3 * 384 + 384, rewritten: 0 }],
    [2, { devices: 384 + 32 + 384, host: 2 * 384 + 384, rewritten: 0 }],
    [4, { devices: 384 + 32 + 3 * 384, host: 384, rewritten: 0 }],
    [99, { devices: 384 + 32 + 3 * 384, host: 384, rewritten: 0 }],
    [-1, { devices: 384 + 32 + 3 * 384, host: 384, rewritten: 0 }],
  ])("%i layers on a device: the head first, then the upper layers; the embedding stays", async (layers, expected) => {
    expect(weightPlaces(await read(model(3)), layers)).toEqual(expected);
  });

  it("an embedding that is the head as well lies in both places", async () => {
    const tied = { ...model(3), tensors: model(3).tensors.filter(({ name }) => name !== "output.weight") };
    expect(weightPlaces(await read(tied), -1)).toEqual({ devices: 3 * 384 + 32 + 384, host: 384, rewritten: 0 });
    expect(weightPlaces(await read(tied), 0)).toEqual({ devices: 0, host: 3 * 384 + 32 + 384, rewritten: 0 });
  });

  it("what the processor's kernels want rewritten stays in memory", async () => {
    const places = weightPlaces(await large(12, "Q4_0"), 0);
    expect(places.host).toBeCloseTo(12 * GIB, 0);
    expect(places.rewritten).toBeGreaterThan(2 * GIB);
    expect(places.rewritten).toBeLessThan(places.host);
  });
});

describe("a model that does not fit", () => {
  it("nothing to say where there is room", async () => {
    expect(requireModelFits(await large(12), CPU, [], LARGE)).toBeNull();
  });

  it("more than the machine has: needed, free, and what to try; exit 4", async () => {
    const tooLarge = await large(80);
    const error = refusal(() => requireModelFits(tooLarge, CPU, [], LARGE));
    expect(error).toMatchObject({ code: "MODEL_TOO_LARGE", exitCode: 4, details: { freeBytes: 64 * GIB } });
    expect(error.details["neededBytes"]).toBeCloseTo(80 * GIB, -3);
    expect(error.message).toMatch(/80\.0 GiB of memory but only 64\.0 GiB at all are free/);
    for (const flag of ["--gpu-layers", "--rpc", "smaller quantisation"]) expect(error.message).toContain(flag);
  });

  it("mapped weights that are not free now: a notice, since they can be read again", async () => {
    const busy = { ...LARGE, available: 10 * GIB };
    expect(requireModelFits(await large(12), CPU, [], busy)).toMatch(/12\.0 GiB are more than the 10\.0 GiB/);
  });

  it("rewritten weights need memory of their own, swap included", async () => {
    const quantised = await large(12, "Q4_0");
    const busy = { ...LARGE, available: GIB };
    expect(refusal(() => requireModelFits(quantised, CPU, [], busy)).details).toMatchObject({ freeBytes: GIB });
    expect(requireModelFits(quantised, CPU, [], { ...busy, swap: 20 * GIB })).toMatch(/read from the disk/);
  });

  it("a device that is too small: how many layers fit, and that many do", async () => {
    const devices = [
      { name: "Vulkan0", memoryFree: 8 * GIB },
      { name: "Vulkan1", memoryFree: 99 * GIB },
    ];
    const tooLarge = await large(20);
    const error = refusal(() => requireModelFits(tooLarge, gpu(-1), devices, LARGE));
    expect(error.message).toMatch(/GiB on Vulkan0 \(Vulkan\) but only 8\.0 GiB are free.*--device/);
    const most = error.details["mostGpuLayers"] as number;
    expect(most).toBeGreaterThan(0);
    expect(error.message).toContain(`--gpu-layers ${most} `);
    expect(requireModelFits(tooLarge, gpu(most), devices, LARGE)).toBeNull();
    expect(refusal(() => requireModelFits(tooLarge, gpu(most + 1), devices, LARGE)).exitCode).toBe(4);
    expect(
      refusal(() => requireModelFits(tooLarge, gpu(1), [{ name: "Vulkan0", memoryFree: 5 }], LARGE)).message,
    ).toContain("not one layer fits there");
  });
});
