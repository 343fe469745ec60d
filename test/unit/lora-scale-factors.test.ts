import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { writeAdapter } from "../../src/lora/trim.js";
import { dequantize, fromHalf, toBfloat16, toHalf } from "../../src/lora/tensor-values.js";
import { readFile } from "node:fs/promises";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf } from "../support/gguf-files.js";

const folder = useFolder();

describe("half precision", () => {
  test("every finite half comes back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if ((bits & 0x7c00) === 0x7c00) continue;
      expect(toHalf(fromHalf(bits))).toBe(bits);
    }
  });

  test("known values, ties to even, overflow", () => {
    // 1 + 2^-11 lies between 1 and 1 + 2^-10; the even one is 1.
    expect(toHalf(1 + 2 ** -11)).toBe(0x3c00);
    expect(toHalf(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(toHalf(-2)).toBe(0xc000);
    expect(toHalf(65519)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(2 ** -25)).toBe(0);
    expect(toHalf(3 * 2 ** -25)).toBe(2);
    expect(toHalf(-0)).toBe(0x8000);
    expect(toBfloat16(1)).toBe(0x3f80);
    expect(toBfloat16(1 + 2 ** -8)).toBe(0x3f80);
    expect(toBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
  });
});

describe("quantised blocks, by hand", () => {
  test("Q8_0: 32 signed bytes times a half", () => {
    const block = Buffer.alloc(34);
    block.writeUInt16LE(toHalf(0.5), 0);
    block.writeInt8(-128, 2);
    block.writeInt8(7, 33);
    const values = dequantize("Q8_0")!(block);
    expect([values[0], values[1], values[31]]).toEqual([-64, 0, 3.5]);
  });

  test("Q4_0 and Q4_1: low nibbles first, then high ones", () => {
    const q40 = Buffer.alloc(18);
    q40.writeUInt16LE(toHalf(2), 0);
    q40.writeUInt8(0xf0, 2);
    const values = dequantize("Q4_0")!(q40);
    expect([values[0], values[16], values[1]]).toEqual([-16, 14, -16]);
    const q41 = Buffer.alloc(20);
    q41.writeUInt16LE(toHalf(2), 0);
    q41.writeUInt16LE(toHalf(1), 2);
    q41.writeUInt8(0x3a, 4);
    expect(dequantize("Q4_1")!(q41)[0]).toBe(21);
    expect(dequantize("Q4_1")!(q41)[16]).toBe(7);
  });

  test("Q5_0 and Q5_1: the fifth bits lie in 32 of their own", () => {
    const q50 = Buffer.alloc(22);
    q50.writeUInt16LE(toHalf(1), 0);
    q50.writeUInt32LE(0x00010001, 2);
    q50.writeUInt8(0x21, 6);
    const values = dequantize("Q5_0")!(q50);
    expect([values[0], values[16], values[1]]).toEqual([1, 2, -16]);
    const q51 = Buffer.alloc(24);
    q51.writeUInt16LE(toHalf(1), 0);
    q51.writeUInt16LE(toHalf(0.25), 2);
    q51.writeUInt32LE(1, 4);
    q51.writeUInt8(3, 8);
    expect(dequantize("Q5_1")!(q51)[0]).toBe(19.25);
  });

  test("other types cannot be read", () => {
    expect(dequantize("IQ2_XS")).toBeNull();
  });
});

describe("mixed strengths in one file", () => {
  test("the commonest goes into alpha, the others into lora_b, element by element; lora_a stays", async () => {
    const source = join(folder.path, "mixed-source.gguf");
    await writeFile(source, gguf(adapter()));
    const target = join(folder.path, "mixed.gguf");
    const written = await writeAdapter(source, { layerScales: [2, 2, 0.5] }, target);
    expect(written).toMatchObject({ alphaScale: 2, rounding: 2 ** -24, notices: [] });
    const [before, after] = [await readGguf(source), await readGguf(target)];
    const floats = async (file: typeof before, name: string) => {
      const tensor = file.tensors.find((it) => it.name === name)!;
      const bytes = (await readFile(file.path)).subarray(tensor.offset, tensor.offset + tensor.bytes);
      return dequantize(tensor.type.name)!(Buffer.from(bytes));
    };
    let scaled = 0;
    for (const { name } of before.tensors) {
      const factor = name.startsWith("blk.2.") && name.endsWith(".lora_b") ? 0.25 : 1;
      if (factor !== 1) scaled += 1;
      const meant = (await floats(before, name)).map((value) => Math.fround(value * factor));
      expect(await floats(after, name)).toEqual(meant);
    }
    expect(scaled).toBe(written.scaledTensors);
    expect(scaled).toBeGreaterThan(0);
  });
});
