import { describe, expect, it } from "vitest";
import { UsageError } from "../../src/errors.js";
import { parseKeep } from "../../src/lora/keep.js";
import { formatLayers } from "../../src/lora/layer-ranges.js";
import { failure } from "../support/data-files.js";

const dense = { path: "a.gguf", layers: [0, 1, 2, 3, 4, 5] };
const sparse = { path: "b.gguf", layers: [1, 3, 4, 7] };
const none = { path: "c.gguf", layers: [] };

describe("--keep", () => {
  const cases: [text: string, adapter: typeof dense, scales: number[], id: string][] = [
    ["0-5", dense, [1, 1, 1, 1, 1, 1], "full"],
    ["all", dense, [1, 1, 1, 1, 1, 1], "full"],
    [" all ", sparse, [1, 1, 1, 1, 1, 1, 1, 1], "full"],
    ["0", dense, [1, 0, 0, 0, 0, 0], "upto:1"],
    ["5", dense, [0, 0, 0, 0, 0, 1], "from:5"],
    ["0-1,3,5", dense, [1, 1, 0, 1, 0, 1], "without:2,4"],
    ["not 4-5*1.5", dense, [1.5, 1.5, 1.5, 1.5, 0, 0], "upto:4*1.5"],
    ["0-2=1,3-5=0.5", dense, [1, 1, 1, 0.5, 0.5, 0.5], "0-2=1,3-5=0.5"],
    ["0-4", sparse, [1, 1, 1, 1, 1, 0, 0, 0], "upto:5"],
    ["upto:4", sparse, [1, 1, 1, 1, 0, 0, 0, 0], "upto:4"],
  ];
  it.each(cases)("%j of %o", (text, adapter, layerScales, id) => {
    expect(parseKeep(text, adapter)).toEqual({
      id,
      layerScales,
      inputScale: layerScales[0],
      outputScale: layerScales.at(-1),
    });
  });

  it("has strengths for the pairs outside the layers of an adapter that has nothing else", () => {
    expect(parseKeep("all", none)).toEqual({ id: "full", layerScales: [], inputScale: 1, outputScale: 1 });
    expect(parseKeep("input=2,output=0", none)).toEqual({
      ...{ id: "input=2,output=0", layerScales: [], inputScale: 2, outputScale: 0 },
    });
  });

  const wrong: [text: string, adapter: typeof dense, code: string, position: number, message: string][] = [
    ["0,x", dense, "SCALES_SYNTAX", 3, "for `--keep` but received `x` at character 3 of `0,x`."],
    ["6", dense, "SCALES_RANGE", 1, "received `6` (a.gguf has LoRA in layers 0-5) at character 1"],
    ["0,4-9", dense, "SCALES_RANGE", 3, "received `4-9` (a.gguf has LoRA in layers 0-5)"],
    ["upto:7", dense, "SCALES_RANGE", 6, "received `upto:7` (a.gguf has LoRA in layers 0-5)"],
    ["0", none, "SCALES_RANGE", 1, "c.gguf has no layers"],
    ["2", sparse, "KEEP_RANGE", 1, "received `2`: b.gguf has LoRA in layers 1,3-4,7."],
    ["1,5-6", sparse, "KEEP_RANGE", 3, "received `5-6`: b.gguf has LoRA in layers 1,3-4,7."],
  ];
  it.each(wrong)("refuses %j of %o", async (text, adapter, code, position, message) => {
    const error = await failure(Promise.resolve().then(() => parseKeep(text, adapter)));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code, exitCode: 2, details: { option: "keep", text, position } });
    expect(error.message).toContain(message);
  });

  it("writes layers the way it reads them", () => {
    expect([[], [3], [0, 1], [0, 2], [0, 1, 2, 5, 7, 8]].map(formatLayers)).toEqual([
      "",
      "3",
      "0-1",
      "0,2",
      "0-2,5,7-8",
    ]);
  });
});
