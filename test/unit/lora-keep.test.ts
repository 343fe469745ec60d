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
    ["0-5", dense, [1, 1, 1, 1, 1, 1], "keep:0-5"],
    ["all", dense, [1, 1, 1, 1, 1, 1], "keep:0-5"],
    [" all ", sparse, [1, 1, 1, 1, 1, 1, 1, 1], "keep:1,3-4,7"],
    ["0", dense, [1, 0, 0, 0, 0, 0], "keep:0"],
    ["5", dense, [0, 0, 0, 0, 0, 1], "keep:5"],
    ["0-1,3,5", dense, [1, 1, 0, 1, 0, 1], "keep:0-1,3,5"],
    [" 5 , 0 - 1 ", dense, [1, 1, 0, 0, 0, 1], "keep:0-1,5"],
    ["2-3,3-4,3", dense, [0, 0, 1, 1, 1, 0], "keep:2-4"],
    ["000002", dense, [0, 0, 1, 0, 0, 0], "keep:2"],
    ["3-3", dense, [0, 0, 0, 1, 0, 0], "keep:3"],
    ["0-4", sparse, [1, 1, 1, 1, 1, 0, 0, 0], "keep:1,3-4"],
    ["all", none, [], "keep:"],
  ];
  it.each(cases)("%j of %o", (text, adapter, layerScales, id) => {
    expect(parseKeep(text, adapter)).toEqual({ id, layerScales });
  });

  const wrong: [text: string, position: number, received: string][] = [
    ["", 1, "nothing"],
    ["  ", 1, "nothing"],
    ["x", 1, "`x`"],
    ["0,", 3, "nothing"],
    ["0,,2", 3, "nothing"],
    [",0", 1, "nothing"],
    ["0,x,2", 3, "`x`"],
    ["0-1,  2-x", 7, "`2-x`"],
    ["-1", 1, "`-1`"],
    ["1-", 1, "`1-`"],
    ["1-2-3", 1, "`1-2-3`"],
    ["1.5", 1, "`1.5`"],
    ["1 2", 1, "`1 2`"],
    ["0,3-1", 3, "`3-1`"],
    ["1234567", 1, "`1234567`"],
    ["0,all", 3, "`all`"],
    ["ALL", 1, "`ALL`"],
    ["0;1", 1, "`0;1`"],
    ["\u0661", 1, "`\u0661`"],
  ];
  it.each(wrong)("refuses %j at character %i", async (text, position, received) => {
    const error = await failure(Promise.resolve().then(() => parseKeep(text, dense)));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: "KEEP_SYNTAX", exitCode: 2, details: { option: "keep", text, position } });
    expect(error.message).toContain(`but received ${received} at character ${position} of \`${text}\``);
    expect(error.message.endsWith(text.includes("3-1") ? ", a range that runs backwards." : "`.")).toBe(true);
  });

  it.each([
    ["6", dense, "6"],
    ["0-6", dense, "0-6"],
    ["0, 999999 ", dense, "999999"],
    ["2", sparse, "2"],
    ["1,5-6", sparse, "5-6"],
    ["0", none, "0"],
  ])("refuses %j: no such layer", async (text, adapter, term) => {
    const error = await failure(Promise.resolve().then(() => parseKeep(text, adapter)));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: "KEEP_RANGE", details: { option: "keep", term, layers: adapter.layers } });
    const has = adapter === none ? "no layers" : `LoRA in layers ${formatLayers(adapter.layers)}`;
    expect(error.message).toContain(`received \`${term}\`: ${adapter.path} has ${has}.`);
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
