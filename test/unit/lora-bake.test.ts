import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeSmallFloat, encodeSmallFloat } from "../../src/gguf/float-bits.js";
import type { TensorDescriptor } from "../../src/gguf/gguf-file.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { writeAdapter, type WriteAdapterOptions } from "../../src/lora/trim.js";
import type { LayerSelection } from "../../src/lora/plan-trim.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  adapterMetadata,
  f32,
  gguf,
  layerPairs,
  pair,
  tensor,
  u16,
  VOCABULARY,
  type Contents,
} from "../support/gguf-files.js";

const folder = useFolder();
let count = 0;

/** Writes, and reads back every tensor as numbers by the type's own description. */
async function written(contents: Contents, selection: LayerSelection, options: WriteAdapterOptions = {}) {
  const source = await folder.write(`source-${count}.gguf`, gguf(contents));
  const target = join(folder.path, `baked-${count++}.gguf`);
  const before = await readdir(folder.path);
  const result = await writeAdapter(source, selection, target, options);
  expect((await readdir(folder.path)).sort()).toEqual([...before, `baked-${count - 1}.gguf`].sort());
  const [from, to] = [await readAdapter(source), await readAdapter(target)];
  const [old, bytes] = [await readFile(source), await readFile(target)];
  const tensorsOf = (file: typeof from, all: Buffer) =>
    new Map(file.gguf.tensors.map((it) => [it.name, { ...it, data: all.subarray(it.offset, it.offset + it.bytes) }]));
  return { result, from, to, before: tensorsOf(from, old), after: tensorsOf(to, bytes) };
}

type Read = TensorDescriptor & { readonly data: Buffer };

function numbers({ type, data }: Read): number[] {
  const step = type.blockBytes;
  return Array.from({ length: data.length / step }, (_, block) => {
    if (type.name === "F32") return [data.readFloatLE(4 * block)];
    if (type.name === "F16" || type.name === "BF16") return [decodeSmallFloat(data.readUInt16LE(2 * block), type.name)];
    const scale = decodeSmallFloat(data.readUInt16LE(block * step), "F16");
    return Array.from({ length: 32 }, (_, at) => scale * data.readInt8(block * step + 2 + at));
  }).flat();
}

/** alpha / rank x B x A, summed in double: [n_out][n_in] of a pair with one expert; of an embedding [n_vocab][n_embd]. */
function product(
  file: Awaited<ReturnType<typeof readAdapter>>,
  tensors: ReadonlyMap<string, Read>,
  name: string,
): number[] {
  const { rank, a, b } = file.pairs.find((it) => it.name === name)!;
  const embedding = name.startsWith("token_embd");
  const [left, right] = [numbers(tensors.get(b.name)!), numbers(tensors.get(a.name)!)];
  const [rows, columns] = [left.length / rank, right.length / rank];
  return Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let r = 0; r < rank; r++)
      sum += left[row * rank + r]! * right[embedding ? column * rank + r : r * columns + column]!;
    return (file.alpha / rank) * sum;
  });
}

const RICH: Contents = {
  metadata: adapterMetadata(),
  tensors: [
    tensor("token_embd.weight.lora_a", [2, VOCABULARY]),
    tensor("token_embd.weight.lora_b", [2, 8]),
    ...layerPairs(0),
    ...layerPairs(1, 2, "F16"),
    ...layerPairs(2, 2, "BF16"),
    ...layerPairs(3, 3),
    ...pair("output.weight", [8, VOCABULARY]),
  ],
};

describe("16-bit floats", () => {
  it.each(["F16", "BF16"] as const)(
    "%s: every one comes back, and what lies between goes to the nearest, ties to even",
    (format) => {
      const infinity = format === "F16" ? 0x7c00 : 0x7f80;
      // Collected: an expectation for each would take seconds.
      const wrong: number[] = [];
      const check = (value: number, bits: number) => {
        if (encodeSmallFloat(value, format) !== bits) wrong.push(value);
      };
      for (let bits = 0; bits < infinity; bits++) {
        const [value, next] = [decodeSmallFloat(bits, format), decodeSmallFloat(bits + 1, format)];
        check(value, bits);
        check(-value, bits | 0x8000);
        if (next === Infinity) continue;
        const middle = (value + next) / 2;
        check(middle, bits + (bits % 2));
        check(middle * (1 - 2e-16), bits);
        check(middle * (1 + 3e-16), bits + 1);
      }
      expect(wrong).toEqual([]);
      for (const odd of [Infinity, -Infinity, NaN]) {
        expect(decodeSmallFloat(encodeSmallFloat(odd, format), format)).toBe(odd);
      }
    },
  );

  it("have the values that the formats' descriptions give", () => {
    const known: [number, "F16" | "BF16", number][] = [
      [0x3c00, "F16", 1],
      [0x7bff, "F16", 65504],
      [0x0001, "F16", 2 ** -24],
      [0x0400, "F16", 2 ** -14],
      [0xc000, "F16", -2],
      [0x3f80, "BF16", 1],
      [0x4049, "BF16", 3.140625],
      [0x0001, "BF16", 2 ** -133],
    ];
    for (const [bits, format, value] of known) expect(decodeSmallFloat(bits, format)).toBe(value);
    expect(encodeSmallFloat(65519.99, "F16")).toBe(0x7bff);
    expect(encodeSmallFloat(65520, "F16")).toBe(0x7c00);
    expect(encodeSmallFloat(1e-30, "F16")).toBe(0);
  });
});

describe("strengths that one alpha cannot say", () => {
  const selection: LayerSelection = {
    id: "mine",
    layerScales: [1.5, 1.5, 0, 0.3],
    feedForwardScales: [1.5, 0.7, -2, 0],
    inputScale: 1.5,
    outputScale: 0.25,
  };
  // Most elements have 1.5: it goes into alpha.
  const factors: [name: string, strength: number][] = [
    ["token_embd.weight", 1.5],
    ["blk.0.attn_q.weight", 1.5],
    ["blk.0.ffn_down.weight", 1.5],
    ["blk.1.attn_q.weight", 1.5],
    ["blk.1.ffn_down.weight", 0.7],
    ["blk.2.ffn_down.weight", -2],
    ["blk.3.attn_q.weight", 0.3],
    ["output.weight", 0.25],
  ];

  it("go into B, each product rounded once; the most common one into alpha; A and equal pairs keep their bytes", async () => {
    const { result, from, to, before, after } = await written(RICH, selection);
    expect(to.alpha).toBe(24);
    expect(to.pairs.map(({ name }) => name)).toEqual(factors.map(([name]) => name));
    const round = { F32: Math.fround, F16: small("F16"), BF16: small("BF16") };
    for (const [name, strength] of factors) {
      expect(after.get(`${name}.lora_a`)!.data.equals(before.get(`${name}.lora_a`)!.data)).toBe(true);
      const [old, now] = [before.get(`${name}.lora_b`)!, after.get(`${name}.lora_b`)!];
      expect(now.type.name).toBe(old.type.name);
      if (strength === 1.5) expect(now.data.equals(old.data)).toBe(true);
      const nearest = round[old.type.name as keyof typeof round];
      expect(numbers(now)).toEqual(numbers(old).map((it) => nearest(it * (strength / 1.5))));
      const [wanted, found] = [product(from, before, name), product(to, after, name)];
      const tolerance = { F32: 1e-6, F16: 1e-3, BF16: 8e-3 }[old.type.name as "F32"];
      found.forEach((it, index) => {
        expect(Math.abs(it - wanted[index]! * strength)).toBeLessThanOrEqual(
          tolerance * Math.abs(wanted[index]! * strength),
        );
      });
    }
    expect(result).toMatchObject({
      ...{ keptLayers: [0, 1, 2, 3], droppedLayers: [], alpha: 24, alphaScale: 1.5, notices: [], verified: true },
      baked: ["blk.1.ffn_down.weight", "blk.2.ffn_down.weight", "blk.3.attn_q.weight", "output.weight"],
      scalesText: "0=1.5,attention:1=1.5,ffn:1=0.7,attention:2=0,ffn:2=-2,attention:3=0.3,ffn:3=0,output=0.25",
    });
    expect(to.gguf.metadata.get("lora_boundary.baked_pairs")!.decode()).toBe(4);
    expect(to.gguf.metadata.get("lora_boundary.layer_scales")!.decode()).toBe(result.scalesText);
  });

  it("make Q8_0 F16 where they are multiplied, with a notice", async () => {
    const block = (seed: number) =>
      Buffer.concat([u16(0x2c00 + seed), Uint8Array.from({ length: 32 }, (_, at) => (seed * 37 + at * 11) & 0xff)]);
    const b = (name: string) => tensor(name, [32, 4], "Q8_0", Buffer.concat([1, 2, 3, 4].map(block)));
    const contents = {
      metadata: adapterMetadata(),
      tensors: [0, 1, 2].flatMap((layer) => [
        tensor(`blk.${layer}.attn_q.weight.lora_a`, [32, 32], "Q8_0"),
        b(`blk.${layer}.attn_q.weight.lora_b`),
      ]),
    };
    const { result, before, after } = await written(contents, { layerScales: [1, 1, 0.5] });
    expect([0, 1, 2].map((layer) => after.get(`blk.${layer}.attn_q.weight.lora_b`)!.type.name)).toEqual([
      "Q8_0",
      "Q8_0",
      "F16",
    ]);
    expect(after.get("blk.2.attn_q.weight.lora_a")!.type.name).toBe("Q8_0");
    const wanted = numbers(before.get("blk.2.attn_q.weight.lora_b")!).map((it) => small("F16")(it * 0.5));
    expect(numbers(after.get("blk.2.attn_q.weight.lora_b")!)).toEqual(wanted);
    expect(new Set(wanted).size).toBeGreaterThan(50);
    expect(result.notices).toEqual([
      "Quantised B tensors became F16 because a strength was multiplied into them: blk.2.attn_q.weight.",
    ]);
  });

  it("are refused by name for types that it does not multiply, and where a product has no room", async () => {
    const q4 = {
      metadata: adapterMetadata(),
      tensors: [0, 1].flatMap((layer) => pair(`blk.${layer}.attn_q.weight`, [32, 8], 32, "Q4_0")),
    };
    const before = await readdir(folder.path);
    const error = await failure(written(q4, { layerScales: [1, 0.5] }));
    expect(error).toMatchObject({
      code: "SELECTION_TENSOR_TYPE",
      exitCode: 2,
      details: { tensor: "blk.1.attn_q.weight.lora_b" },
    });
    expect(error.message).toContain("received Q4_0");
    const half = { metadata: adapterMetadata(), tensors: [...layerPairs(0, 2, "F16"), ...layerPairs(1, 2, "F16")] };
    expect(await failure(written(half, { layerScales: [1, 1e6] }))).toMatchObject({
      code: "SELECTION_SCALE",
      exitCode: 2,
    });
    // The two sources that the tests wrote, and nothing else.
    expect((await readdir(folder.path)).length).toBe(before.length + 2);
  });
});

function small(format: "F16" | "BF16") {
  return (it: number) => decodeSmallFloat(encodeSmallFloat(it, format), format);
}

describe("padded ranks", () => {
  it("are zeros and compute the same, at ranks 2 and 3 in one file", async () => {
    const { result, from, to, before, after } = await written(RICH, { layerScales: [1, 1, 1, 1] }, { padRank: 16 });
    expect(to.ranks).toEqual([16]);
    expect([to.alpha, result.alphaScale]).toEqual([128, 8]);
    expect(result.baked).toEqual(["blk.3.attn_q.weight", "blk.3.ffn_down.weight"]);
    expect(to.gguf.metadata.get("lora_boundary.padded_rank")!.decode()).toBe(16);
    for (const { name } of from.pairs) {
      const [wanted, found] = [product(from, before, name), product(to, after, name)];
      const baked = name.startsWith("blk.3.");
      if (baked)
        found.forEach((it, index) => {
          expect(it).toBeCloseTo(wanted[index]!, 5);
        });
      else expect(found).toEqual(wanted);
    }
    const [a, b] = [after.get("blk.0.attn_q.weight.lora_a")!, after.get("blk.0.attn_q.weight.lora_b")!];
    expect([a.shape, b.shape]).toEqual([
      [8, 16],
      [16, 8],
    ]);
    expect(
      numbers(a)
        .slice(16)
        .every((it) => it === 0),
    ).toBe(true);
    expect(after.get("token_embd.weight.lora_a")!.shape).toEqual([16, VOCABULARY]);
    expect(result.parameters).toBe(to.parameters);
  });

  it("that fit already change nothing, and numbers out of range are refused", async () => {
    const { before, after, result } = await written(adapter(), { layerScales: [1, 1, 1] }, { padRank: 2 });
    expect(result.alphaScale).toBe(1);
    for (const [name, { data }] of before) expect(after.get(name)!.data.equals(data)).toBe(true);
    for (const padRank of [0, -16, 1.5, NaN, 100_000]) {
      expect(await failure(written(adapter(), { layerScales: [1, 1, 1] }, { padRank }))).toMatchObject({
        code: "PAD_RANK_RANGE",
      });
    }
  });

  it("of experts: zeros at the end of each one's rows", async () => {
    const values = (size: number) => Buffer.concat(Array.from({ length: size }, (_, at) => f32(at + 1)));
    const contents = {
      metadata: adapterMetadata(),
      tensors: [
        tensor("blk.0.ffn_up_exps.weight.lora_a", [2, 1, 2], "F32", values(4)),
        tensor("blk.0.ffn_up_exps.weight.lora_b", [1, 3, 2], "F32", values(6)),
      ],
    };
    const { after } = await written(contents, { layerScales: [1] }, { padRank: 2 });
    expect(numbers(after.get("blk.0.ffn_up_exps.weight.lora_a")!)).toEqual([1, 2, 0, 0, 3, 4, 0, 0]);
    expect(numbers(after.get("blk.0.ffn_up_exps.weight.lora_b")!)).toEqual([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0]);
  });
});
