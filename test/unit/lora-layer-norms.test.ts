import { describe, expect, it } from "vitest";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { layerNorms } from "../../src/lora/layer-norms.js";
import { useFolder } from "../support/data-files.js";
import { adapterMetadata, f32, gguf, tensor, TYPES, u16, type TypeName } from "../support/gguf-files.js";

const folder = useFolder();
const ALPHA = 16;
/** Whole numbers, which every type holds exactly. */
const wave = (count: number, seed: number) => Array.from({ length: count }, (_, i) => ((i * 7 + seed) % 5) - 2);

/** A pair with values of one's own. GGUF order: A is [n_in, r, experts], B is [r, n_out, experts]. */
function valued(
  name: string,
  [nIn, nOut, experts]: readonly [number, number, number],
  rank: number,
  encode: (values: number[]) => Buffer,
  type: TypeName,
) {
  const [a, b] = [wave(nIn * rank * experts, 1), wave(rank * nOut * experts, 3)];
  const trailing = experts === 1 ? [] : [experts];
  const tensors = [
    tensor(`${name}.lora_a`, [nIn, rank, ...trailing], type, encode(a)),
    tensor(`${name}.lora_b`, [rank, nOut, ...trailing], type, encode(b)),
  ];
  // The full product, element by element.
  let squares = 0;
  for (let e = 0; e < experts; e++) {
    for (let i = 0; i < nIn; i++) {
      for (let o = 0; o < nOut; o++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += a[(e * rank + r) * nIn + i]! * b[(e * nOut + o) * rank + r]!;
        squares += ((ALPHA / rank) * sum) ** 2;
      }
    }
  }
  return { tensors, squares };
}

const float = (values: number[]) => Buffer.concat(values.map(f32));
const half = (values: number[]) =>
  Buffer.concat(
    values.map((value) => u16(value === 0 ? 0 : (value < 0 ? 0x8000 : 0) | (Math.abs(value) === 2 ? 0x4000 : 0x3c00))),
  );
const brain = (values: number[]) => Buffer.concat(values.map((value) => f32(value).subarray(2)));
/** Scale 0.5, so quants are twice the values. */
const q8 = (values: number[]) =>
  Buffer.concat(
    Array.from({ length: values.length / 32 }, (_, block) =>
      Buffer.concat([
        u16(0x3800),
        Buffer.from(Int8Array.from(values.slice(block * 32, block * 32 + 32), (v) => 2 * v).buffer),
      ]),
    ),
  );

async function normsOf(...tensors: Parameters<typeof gguf>[0]["tensors"]) {
  return layerNorms(
    await readAdapter(await folder.write("norms.gguf", gguf({ metadata: adapterMetadata(), tensors }))),
  );
}

describe("the norm by small factors is the norm of the full product", () => {
  it.each([
    ["F32", float, 3],
    ["F16", half, 3],
    ["BF16", brain, 3],
    ["Q8_0", q8, 32],
  ] as const)("%s", async (type, encode, rank) => {
    const pair = valued("blk.0.attn_q.weight", [64, 32, 1], rank, encode, type);
    const [norm] = await normsOf(...pair.tensors);
    expect(norm!.norm).toBeCloseTo(Math.sqrt(pair.squares), 8);
    expect(norm).toMatchObject({ layer: 0, feedForward: 0, skipped: [] });
  });

  it("experts add up, ranks may differ, groups are apart and layers on their own", async () => {
    const experts = valued("blk.1.ffn_up_exps.weight", [8, 6, 3], 2, float, "F32");
    const down = valued("blk.1.ffn_down.weight", [6, 8, 1], 4, float, "F32");
    const attention = valued("blk.1.attn_v.weight", [8, 4, 1], 1, float, "F32");
    const other = valued("blk.4.attn_q.weight", [8, 8, 1], 2, float, "F32");
    const norms = await normsOf(...[experts, down, attention, other].flatMap(({ tensors }) => tensors));
    expect(norms.map(({ layer }) => layer)).toEqual([1, 4]);
    expect(norms[0]!.feedForward).toBeCloseTo(Math.sqrt(experts.squares + down.squares), 8);
    expect(norms[0]!.attention).toBeCloseTo(Math.sqrt(attention.squares), 8);
    expect(norms[0]!.norm).toBeCloseTo(Math.sqrt(experts.squares + down.squares + attention.squares), 8);
    expect(norms[1]!.norm).toBeCloseTo(Math.sqrt(other.squares), 8);
  });
});

it("a pair of a type that is not read is named, never counted as 0 in silence", async () => {
  const unread = (Object.keys(TYPES) as TypeName[]).find((type) => !["F32", "F16", "BF16", "Q8_0"].includes(type))!;
  const norms = await normsOf(
    tensor("blk.0.attn_q.weight.lora_a", [256, 256], unread),
    tensor("blk.0.attn_q.weight.lora_b", [256, 256], unread),
  );
  expect(norms).toEqual([{ layer: 0, norm: 0, attention: 0, feedForward: 0, skipped: ["blk.0.attn_q.weight"] }]);
});
