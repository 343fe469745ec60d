import { rm, truncate } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { checkValues, requireSoundValues } from "../../src/lora/adapter-values.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  adapterMetadata,
  f32,
  gguf,
  layerPairs,
  pair,
  tensor,
  type Contents,
  type Tensor,
  type TypeName,
} from "../support/gguf-files.js";

const folder = useFolder();
const NAME = "blk.0.attn_q.weight";
const open = async (contents: Contents) => readAdapter(await folder.write("values.gguf", gguf(contents)));
const check = async (...tensors: Tensor[]) => checkValues(await open({ metadata: adapterMetadata(), tensors }));

/** The tensor with other bytes from `at` on. */
function patched(it: Tensor, at: number, bytes: Buffer): Tensor {
  const data = Buffer.from(it.data);
  bytes.copy(data, at);
  return { ...it, data };
}
const zeroed = (it: Tensor): Tensor => ({ ...it, data: Buffer.alloc(it.data.length) });
/** Bits of an element, little-endian. */
const half = (bits: number) => Buffer.of(bits & 0xff, bits >> 8);
const single = (bits: number) => Buffer.concat([half(bits & 0xffff), half(bits >>> 16)]);

describe("numbers that are not finite", () => {
  const cases: [type: TypeName, name: string, bits: Buffer, finite: boolean][] = [
    ["F32", "NaN", single(0x7fc00000), false],
    ["F32", "signalling NaN", single(0x7f800001), false],
    ["F32", "negative NaN", single(0xffc00000), false],
    ["F32", "infinity", single(0x7f800000), false],
    ["F32", "negative infinity", single(0xff800000), false],
    ["F32", "the largest number", single(0x7f7fffff), true],
    ["F32", "the most negative number", single(0xff7fffff), true],
    ["F16", "NaN", half(0x7e00), false],
    ["F16", "negative infinity", half(0xfc00), false],
    ["F16", "the largest number", half(0x7bff), true],
    ["BF16", "NaN", half(0x7fc0), false],
    ["BF16", "infinity", half(0x7f80), false],
    ["BF16", "the most negative number", half(0xff7f), true],
    // In half precision these bits would be a NaN.
    ["BF16", "a small number", half(0x7e00), true],
    ["Q8_0", "NaN as scale", half(0x7e00), false],
    ["Q8_0", "infinity as scale", half(0xfc00), false],
    ["Q8_0", "the largest scale", half(0x7bff), true],
  ];
  it.each(cases)("%s: %s", async (type, _, bits, finite) => {
    const [a, b] = pair(NAME, [64, 32], 32, type) as [Tensor, Tensor];
    const size = type === "F32" ? 4 : type === "Q8_0" ? 34 : 2;
    // The third element, in blocks of 32 the third block, of either part.
    const element = type === "Q8_0" ? 2 * 32 : 2;
    for (const broken of [a, b]) {
      const bad = patched(broken, 2 * size, bits);
      const { problems } = await check(broken === a ? bad : a, broken === b ? bad : b);
      const found = problems.map(({ code, details }) => [code, details["tensor"], details["element"]]);
      expect(found).toEqual(finite ? [] : [["ADAPTER_NOT_FINITE", bad.name, element]]);
    }
  });

  it.each(["F32", "Q8_0"] as const)("%s: at the very end of a tensor of several chunks", async (type) => {
    const elements = 3 * 2 ** 20;
    const bytes = type === "F32" ? 4 * elements : (elements / 32) * 34;
    const a = tensor(`${NAME}.lora_a`, [elements / 32, 32], type, Buffer.alloc(bytes, 1));
    const b = tensor(`${NAME}.lora_b`, [32, 32], type);
    const bad =
      type === "F32" ? patched(a, a.data.length - 4, single(0x7fc00000)) : patched(a, a.data.length - 34, half(0x7c00));
    expect((await check(a, b)).problems).toEqual([]);
    const { problems } = await check(bad, b);
    expect(problems.map(({ details }) => details["element"])).toEqual([type === "F32" ? elements - 1 : elements - 32]);
  });

  it("are named in every tensor, and thrown together", async () => {
    const tensors = layerPairs(0).map((it) => patched(it, 4, f32(Infinity)));
    const file = await open({ metadata: adapterMetadata(), tensors });
    const { problems, skipped } = await checkValues(file);
    expect(problems.map(({ details }) => details["tensor"])).toEqual(tensors.map(({ name }) => name));
    expect(skipped).toEqual([]);
    expect(problems[0]!.message).toBe(
      `${file.path}: Expected finite numbers in tensor \`${NAME}.lora_a\` but element 1 is NaN or infinite; the training diverged or the file is damaged.`,
    );
    const error = await failure(requireSoundValues(file));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: "ADAPTER_NOT_FINITE", exitCode: 3, details: { problems } });
    expect(error.message.split("\n").length).toBe(4);
  });
});

describe("an adapter that changes nothing", () => {
  const codes = async (...tensors: Tensor[]) => (await check(...tensors)).problems.map(({ code }) => code);

  it.each(["F32", "F16", "BF16", "Q8_0"] as const)("%s: B is zero in every pair", async (type) => {
    const shape = [64, 32] as const;
    const [a, b] = pair(NAME, shape, 32, type) as [Tensor, Tensor];
    const [otherA, otherB] = pair("blk.1.attn_q.weight", shape, 32, type) as [Tensor, Tensor];
    expect(await codes(a, zeroed(b), otherA, zeroed(otherB))).toEqual(["ADAPTER_CHANGES_NOTHING"]);
    expect(await codes(a, zeroed(b), zeroed(otherA), otherB)).toEqual(["ADAPTER_CHANGES_NOTHING"]);
    expect(await codes(a, zeroed(b), otherA, otherB)).toEqual([]);
    // One number other than zero, the last one, is enough.
    const last = patched(zeroed(b), b.data.length - 1, Buffer.of(1));
    const scaled = type === "Q8_0" ? patched(last, b.data.length - 34, half(0x3c00)) : last;
    expect(await codes(a, scaled)).toEqual([]);
  });

  it("one number is enough in any chunk of a large tensor", async () => {
    const zeros = Buffer.alloc(6 * 2 ** 20);
    const a = tensor(`${NAME}.lora_a`, [zeros.length / 8, 2], "F32", zeros);
    const b = tensor(`${NAME}.lora_b`, [2, 8]);
    expect(await codes(a, b)).toEqual(["ADAPTER_CHANGES_NOTHING"]);
    for (const at of [0, zeros.length / 2, zeros.length - 4])
      expect(await codes(patched(a, at, f32(1)), b)).toEqual([]);
  });

  it("negative zeros are zeros, and so are quants under a zero scale and a scale over zero quants", async () => {
    const [a, b] = pair(NAME, [8, 8]) as [Tensor, Tensor];
    const negative = Buffer.concat(Array.from({ length: 16 }, () => f32(-0)));
    expect(await codes(a, { ...b, data: negative })).toEqual(["ADAPTER_CHANGES_NOTHING"]);
    const [qa, qb] = pair(NAME, [32, 2], 32, "Q8_0") as [Tensor, Tensor];
    const quantsOnly = Buffer.concat([half(0x8000), Buffer.alloc(32, 1), half(0), Buffer.alloc(32, 1)]);
    expect(await codes(qa, { ...qb, data: quantsOnly })).toEqual(["ADAPTER_CHANGES_NOTHING"]);
    const scalesOnly = Buffer.concat([half(0x3c00), Buffer.alloc(32), half(0x3c00), Buffer.alloc(32)]);
    expect(await codes(qa, { ...qb, data: scalesOnly })).toEqual(["ADAPTER_CHANGES_NOTHING"]);
  });

  it("says so, and is refused", async () => {
    const tensors = layerPairs(0).map((it) => (String(it.name).endsWith("_b") ? zeroed(it) : it));
    const file = await open({ metadata: adapterMetadata(), tensors });
    const error = await failure(requireSoundValues(file));
    expect(error).toMatchObject({ code: "ADAPTER_CHANGES_NOTHING", exitCode: 3, details: { path: file.path } });
    expect(error.message).toContain("in each of its 2 pairs A or B is all zero, as before the first training step");
  });
});

describe("besides", () => {
  it("types that are not looked into are named, and counted as something", async () => {
    const [a, b] = pair(NAME, [32, 8], 32, "Q4_0") as [Tensor, Tensor];
    const values = await check(zeroed(a), zeroed(b));
    expect(values.problems).toEqual([]);
    expect(values.skipped.map(({ name }) => name)).toEqual([a.name, b.name]);
  });

  it("a file that is cut, or gone, after its header was read; a cancel", async () => {
    const file = await open(adapter());
    expect(await requireSoundValues(file)).toEqual({ problems: [], skipped: [] });
    expect((await failure(checkValues(file, { signal: AbortSignal.abort() }))).code).toBe("CANCELLED");
    await truncate(file.path, file.bytes - 1);
    expect(await failure(checkValues(file))).toMatchObject({ code: "FILE_SHRANK", details: { path: file.path } });
    await rm(file.path);
    expect(await failure(checkValues(file))).toMatchObject({ code: "FILE_MISSING", details: { path: file.path } });
  });
});
