import { describe, expect, it } from "vitest";
import { renderDoctor, type DoctorFindings } from "../../src/report/doctor.js";
import { tooWide } from "../support/report-results.js";

const machine: DoctorFindings = {
  ...{
    schema: "lora-boundary/doctor@1",
    version: "1.2.3",
    addon: "built",
    engine: null,
    model: null,
    adapter: null,
    pair: null,
  },
  machine: {
    ...{ platform: "linux", architecture: "x64", node: "20.17.0", threads: 8 },
    ...{ memoryFree: 2 ** 33, memoryTotal: 2 ** 34 },
  },
  ...{ samples: null, problems: [], notices: [] },
};
const engine: NonNullable<DoctorFindings["engine"]> = {
  ...{ llamaCpp: "0.5.0", systemInfo: "CPU : AVX2 = 1 | ", refused: [], built: null },
  devices: [
    {
      ...{ name: "CPU", description: "Some CPU", type: "cpu", backend: "CPU" },
      ...{ memoryFree: 2 ** 33, memoryTotal: 2 ** 34, trial: null },
    },
    {
      ...{ name: "GPU0", description: "Some GPU", type: "gpu", backend: "Vulkan" },
      ...{ memoryFree: 0, memoryTotal: 0, trial: { computes: true, failure: null } },
    },
    {
      ...{ name: "GPU1", description: "Old GPU", type: "gpu", backend: "Vulkan" },
      ...{ memoryFree: 0, memoryTotal: 0, trial: { computes: false, failure: "a trial was ended by SIGABRT" } },
    },
  ],
};
const missing: DoctorFindings["problems"][number] = {
  ...{ place: "engine", code: "ADDON_MISSING", details: {} },
  message: "This needs the addon.\nBuild it: npm rebuild.",
};

describe("a machine", () => {
  it("that is ready", () => {
    expect(renderDoctor({ ...machine, engine }, { width: 100 })).toBe(
      [
        "This machine",
        "  lora-boundary  1.2.3",
        "  Node.js        20.17.0",
        "  platform       linux x64, 8 hardware threads",
        "  memory         8.0 GiB free of 16.0 GiB",
        "",
        "llama.cpp",
        "  version    0.5.0",
        "  libraries  of node-llama-cpp",
        "  CPU        Some CPU (cpu), 8.0 GiB free of 16.0 GiB",
        "  GPU0       Some GPU (gpu), memory not known, computes",
        "  GPU1       Old GPU (gpu), memory not known, does not compute",
        "  built for  CPU : AVX2 = 1 |",
        "",
        "Ready.",
      ].join("\n"),
    );
  });

  it("without the addon: the advice line by line", () => {
    const text = renderDoctor({ ...machine, addon: "missing", problems: [missing] }, { width: 100 });
    expect(text).toContain("Problems\n  - This needs the addon.\n    Build it: npm rebuild.\n\nNot ready.");
  });
});

it("is never wider than asked and shows no control characters of others", () => {
  const hostile = "\u001b[2J\u202e".repeat(30);
  const findings: DoctorFindings = {
    ...machine,
    engine: {
      ...engine,
      systemInfo: hostile,
      devices: [{ ...engine.devices[0]!, name: hostile, description: hostile }],
    },
    samples: { path: hostile, rows: 3, forms: { text: 3 }, groups: 3, smallestShare: 0.0123 },
    problems: [{ ...missing, place: "file", message: `${hostile}\n${hostile}` }],
    notices: [hostile],
  };
  for (const width of [20, 33, 80, 200]) {
    const text = renderDoctor(findings, { width });
    expect(tooWide(text, width)).toEqual([]);
    expect(text).not.toMatch(/[\u001b\u202e]/);
  }
});
