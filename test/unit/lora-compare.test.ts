import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compareFiles } from "../../src/lora/compare-files.js";
import { writeAdapter } from "../../src/lora/trim.js";
import type { LayerSelection } from "../../src/lora/plan-trim.js";
import { renderComparison } from "../../src/report/compare-files.js";
import { failure, useFolder } from "../support/data-files.js";
import { adapter, f32, gguf, layerPairs, model, pair, value, withKey, type Contents } from "../support/gguf-files.js";
import { withTensors } from "../support/gguf-edit.js";

const folder = useFolder();
let count = 0;
const write = (contents: Contents) => folder.write(`file-${count++}.gguf`, gguf(contents));
const compare = async (first: Contents, second: Contents) => compareFiles(await write(first), await write(second));

const RICH: Contents = {
  ...adapter([0, 1, 2]),
  tensors: [
    ...layerPairs(0),
    ...layerPairs(1, 2, "F16"),
    ...layerPairs(2, 3, "BF16"),
    ...pair("output.weight", [8, 12]),
  ],
};

describe("two adapters", () => {
  const cases: [selection: LayerSelection, padRank: number, text: string][] = [
    [{ layerScales: [1, 1, 1] }, 1, "full"],
    [{ layerScales: [1, 1, 1] }, 16, "full"],
    [{ layerScales: [1, 1, 0] }, 1, "upto:2"],
    [{ layerScales: [1.45, 0, 1.45], outputScale: 1.45 }, 1, "without:1*1.45"],
    [
      { layerScales: [2, 0.5, 1], feedForwardScales: [2, 0.25, 0], outputScale: 3 },
      1,
      "0=2,attention:1=0.5,ffn:1=0.25,attention:2=1,ffn:2=0,output=3",
    ],
    [{ layerScales: [2, -0.5, 1] }, 8, "0=2,1=-0.5,2=1"],
  ];
  it.each(cases)("%o, padded to %i: the strengths are found in the files", async (selection, padRank, text) => {
    const [source, target] = [await write(RICH), join(folder.path, `file-${count++}.gguf`)];
    await writeAdapter(source, selection, target, { padRank });
    const { strengths, same } = await compareFiles(source, target);
    expect(strengths).toEqual({ text, otherWeights: [], added: [] });
    expect(same).toBe(false);
  });

  it("with other weights, other pairs, or nothing to tell them apart", async () => {
    const other = withTensors(adapter(), (tensor, name) =>
      name === "blk.1.attn_q.weight.lora_b"
        ? { ...tensor, data: Buffer.concat(Array.from({ length: 16 }, (_, at) => f32(at % 3))) }
        : tensor,
    );
    expect(await compare(adapter(), other)).toMatchObject({
      tensors: { same: 11, added: [], removed: [], changed: [{ name: "blk.1.attn_q.weight.lora_b", what: ["data"] }] },
      strengths: { text: null, otherWeights: ["blk.1.attn_q.weight"], added: [] },
      same: false,
    });
    expect(await compare(adapter([0]), adapter([0, 1]))).toMatchObject({
      strengths: { text: null, added: ["blk.1.attn_q.weight", "blk.1.ffn_down.weight"] },
    });
    expect(await compare(adapter(), adapter())).toMatchObject({
      metadata: { added: [], removed: [], changed: [] },
      tensors: { same: 12 },
      strengths: { text: "full" },
      same: true,
    });
  });

  it("metadata are compared by type and bytes", async () => {
    const first = withKey(withKey(adapter(), "one", value.u32(1)), "gone", value.text("x".repeat(300)));
    const second = withKey(
      withKey(adapter(), "one", value.i32(1)),
      "new",
      value.array(
        4,
        Array.from({ length: 300 }, () => f32(0)),
      ),
    );
    const { metadata } = await compare(first, second);
    expect(metadata).toEqual({
      added: [{ key: "new", value: "300 values" }],
      removed: [{ key: "gone", value: `${"x".repeat(200)}...` }],
      changed: [{ key: "one", from: "1", to: "1" }],
    });
  });
});

describe("two models", () => {
  it("tensors by type, shape and every byte; no strengths", async () => {
    const changed = withTensors(model(), (tensor, name) => {
      if (name === "output.weight") return null;
      if (name === "output_norm.weight") return { ...tensor, type: "F16", data: tensor.data.subarray(16) };
      // The very last byte of a tensor.
      return name === "blk.2.ffn_down.weight"
        ? { ...tensor, data: Buffer.concat([tensor.data.subarray(0, -1), Buffer.of(99)]) }
        : tensor;
    });
    const { tensors, strengths } = await compare(model(), changed);
    expect(strengths).toBeNull();
    expect(tensors).toEqual({
      same: 6,
      added: [],
      removed: ["output.weight"],
      changed: [
        { name: "blk.2.ffn_down.weight", what: ["data"] },
        { name: "output_norm.weight", what: ["type F32 to F16"] },
      ],
    });
  });

  it("a file that is none is refused", async () => {
    const other = await folder.write("text.gguf", "hello");
    expect(await failure(compareFiles(await write(model()), other))).toMatchObject({ code: "FILE_NOT_GGUF" });
  });
});

it("is shown with what is foreign made harmless", async () => {
  const comparison = await compare(withKey(adapter(), "k\u001b[2J", value.text("v")), adapter([0, 1]));
  const text = renderComparison(comparison, { width: 80 });
  expect(text).toContain("strengths  the second is the first at upto:2");
  expect(text).toContain("tensors    8 the same, 0 changed, 0 added, 4 removed");
  expect(text).toContain("Metadata removed (1)\n  k\\x1b[2J: v");
  expect(text).toContain("Tensors removed (4)\n  blk.2.attn_q.weight.lora_a");
  expect(text).not.toContain("\u001b");
});
