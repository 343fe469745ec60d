import { mkdir, open, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { readExactly } from "../../src/gguf/exact-io.js";
import { MetadataValue } from "../../src/gguf/metadata.js";
import { MoreBytesNeeded, parseHeader } from "../../src/gguf/parse-header.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { TENSOR_TYPES } from "../../src/gguf/tensor-types.js";
import { failure, useFolder } from "../support/data-files.js";
import { adapter, f64, gguf, header, tensor, text, u16, u32, u64, value, type Entry } from "../support/gguf-files.js";

const folder = useFolder();

const EVERY_TYPE: readonly (readonly [key: string, value: Entry[1], decoded: unknown])[] = [
  ["a.u8", value.u8(250), 250],
  ["a.i8", value.i8(-5), -5],
  ["a.u16", value.u16(65_000), 65_000],
  ["a.i16", value.i16(-3000), -3000],
  ["a.u32", value.u32(4_000_000_000), 4_000_000_000],
  ["a.i32", value.i32(-2_000_000_000), -2_000_000_000],
  ["a.f32", value.f32(-0.5), -0.5],
  ["a.true", value.bool(1), true],
  ["a.false", value.bool(0), false],
  ["a.text", value.text("h\u00e9 \u{1f600}"), "h\u00e9 \u{1f600}"],
  ["a.empty", value.text(""), ""],
  ["a.u64", value.u64(2n ** 64n - 1n), 2n ** 64n - 1n],
  ["a.i64", value.i64(-(2n ** 63n)), -(2n ** 63n)],
  ["a.f64", value.f64(Math.PI), Math.PI],
  ["a.u32s", value.array(4, [u32(1), u32(2)]), [1, 2]],
  ["a.texts", value.array(8, [text("one"), text("")]), ["one", ""]],
  ["a.none", value.array(12, []), []],
  ["a.nested", value.array(9, [value.array(2, [u16(7)]).bytes, value.array(12, [f64(0.1)]).bytes]), [[7], [0.1]]],
];

describe("what a file holds", () => {
  it("decodes every value type, keeps its bytes and the order of the keys", async () => {
    const contents = { metadata: EVERY_TYPE.map(([key, it]): Entry => [key, it]), tensors: [] };
    const file = await readGguf(await folder.write("types.gguf", gguf(contents)));
    expect([...file.metadata.keys()]).toEqual(EVERY_TYPE.map(([key]) => key));
    for (const [key, { type, bytes }, decoded] of EVERY_TYPE) {
      const read = file.metadata.get(key)!;
      expect(read.decode()).toEqual(decoded);
      expect(read.bytes.equals(bytes)).toBe(true);
      expect(read.elementType === undefined).toBe(type !== 9);
      expect(read.length).toBe(Array.isArray(decoded) ? decoded.length : undefined);
    }
    expect(file.metadata.get("a.u32s")!.elementType).toBe("u32");
    expect(file.metadata.get("a.nested")!.elementType).toBe("array");
  });

  it("makes values with the bytes of the format", () => {
    const made = [
      [MetadataValue.u32(7), value.u32(7)],
      [MetadataValue.f32(0.1), value.f32(0.1)],
      [MetadataValue.f64(0.1), value.f64(0.1)],
      [MetadataValue.string("h\u00e9"), value.text("h\u00e9")],
      [MetadataValue.u32Array([1, 2 ** 32 - 1]), value.array(4, [u32(1), u32(2 ** 32 - 1)])],
    ] as const;
    for (const [own, expected] of made) expect(own.bytes.toString("hex")).toBe(expected.bytes.toString("hex"));
    expect(made.map(([own]) => own.type)).toEqual(["u32", "f32", "f64", "string", "array"]);
  });

  it.each([2, 3] as const)("places the tensors of a version %i file", async (version) => {
    const tensors = [
      tensor("one", [3], "F32"),
      tensor("h\u00e9", [32, 2, 3], "Q8_0"),
      tensor("n".repeat(63), [1, 1, 1, 2], "BF16"),
      tensor("zero", [4, 0], "F16"),
    ];
    const contents = { version, metadata: [], tensors };
    const bytes = gguf(contents);
    const path = await folder.write("tensors.gguf", bytes);
    const file = await readGguf(path);
    const start = Math.ceil(header(contents).length / 32) * 32;
    expect(file).toMatchObject({ path, version, fileBytes: bytes.length, alignment: 32, dataOffset: start });
    expect(
      file.tensors.map(({ name, type, shape, elements, bytes: size, offset }) => [
        name,
        type.name,
        shape,
        elements,
        size,
        offset,
      ]),
    ).toEqual([
      ["one", "F32", [3], 3, 12, start],
      ["h\u00e9", "Q8_0", [32, 2, 3], 192, 204, start + 32],
      ["n".repeat(63), "BF16", [1, 1, 1, 2], 2, 4, start + 256],
      ["zero", "F16", [4, 0], 0, 0, start + 288],
    ]);
    file.tensors.forEach(({ offset, bytes: size, path: source }, index) => {
      expect(source).toBe(path);
      expect(bytes.subarray(offset, offset + size).equals(tensors[index]!.data)).toBe(true);
    });
  });

  it.each([1, 8, 64, 4096])("follows an alignment of %i", async (alignment) => {
    const tensors = [tensor("a", [3]), tensor("b", [5])];
    const bytes = gguf({ alignment, metadata: [["general.alignment", value.u32(alignment)]], tensors });
    const file = await readGguf(await folder.write("aligned.gguf", bytes));
    expect(file.alignment).toBe(alignment);
    file.tensors.forEach(({ offset, bytes: size }, index) => {
      expect(offset % alignment).toBe(0);
      expect(bytes.subarray(offset, offset + size).equals(tensors[index]!.data)).toBe(true);
    });
  });

  it("reads a header of megabytes in chunks, and asks for no byte behind it", async () => {
    const words = Array.from({ length: 100_000 }, (_, index) => `word ${index}`);
    const contents = { metadata: [["tokens", value.array(8, words.map(text))] as const], tensors: [tensor("t", [8])] };
    const bytes = gguf(contents);
    const file = await readGguf(await folder.write("long.gguf", bytes));
    expect(bytes.length).toBeGreaterThan(4 * 256 * 1024);
    expect(file.metadata.get("tokens")!.decode()).toEqual(words);

    const small = gguf(adapter());
    const headerBytes = header(adapter()).length;
    for (let known = 4; known <= small.length; known++) {
      const parsed = parseHeader(small.subarray(0, known), "small", small.length);
      expect(parsed instanceof MoreBytesNeeded).toBe(known < headerBytes);
      if (!(parsed instanceof MoreBytesNeeded)) continue;
      expect(parsed.atLeast).toBeGreaterThan(known);
      expect(parsed.atLeast).toBeLessThanOrEqual(headerBytes);
    }
  });

  it("knows the bits per weight of llama.cpp's types", () => {
    // From the table of `llama-quantize` and ggml's block structures.
    const bits = {
      ...{ F32: 32, F16: 16, BF16: 16, I8: 8, I64: 64, Q4_0: 4.5, Q4_1: 5, Q5_0: 5.5, Q5_1: 6, Q8_0: 8.5, Q2_K: 2.625 },
      ...{
        Q3_K: 3.4375,
        Q4_K: 4.5,
        Q5_K: 5.5,
        Q6_K: 6.5625,
        IQ1_S: 1.5625,
        IQ1_M: 1.75,
        IQ2_XXS: 2.0625,
        IQ2_XS: 2.3125,
      },
      ...{ IQ2_S: 2.5625, IQ3_XXS: 3.0625, IQ3_S: 3.4375, IQ4_NL: 4.5, IQ4_XS: 4.25, TQ1_0: 1.6875, TQ2_0: 2.0625 },
      ...{ MXFP4: 4.25, NVFP4: 4.5 },
    };
    const known = new Map(
      [...TENSOR_TYPES.values()].map((type) => [type.name, (8 * type.blockBytes) / type.blockElements]),
    );
    for (const [name, expected] of Object.entries(bits)) expect([name, known.get(name)]).toEqual([name, expected]);
    const rest = [...TENSOR_TYPES.values()].filter(({ holdsWeights }) => !holdsWeights).map(({ name }) => name);
    expect(rest.sort()).toEqual(["F64", "I16", "I32", "I64", "I8", "Q8_1", "Q8_K"]);
  });
});

describe("files that are no GGUF", () => {
  const cases: [name: string, content: string | Uint8Array, code: string, kind: string | null, message: RegExp][] = [
    ["empty.gguf", "", "FILE_EMPTY", null, /received an empty file/],
    ["lfs.gguf", "version https://git-lfs.github.com/spec/v1\noid", "FILE_IS_LFS_POINTER", null, /git lfs pull/],
    [
      "x.safetensors",
      Buffer.concat([u64(64), Buffer.from('{"__metadata__"')]),
      "FILE_NOT_GGUF",
      "a safetensors file",
      /convert_lora_to_gguf\.py/,
    ],
    ["x.bin", "PK\x03\x04rest", "FILE_NOT_GGUF", "a PyTorch file (zip archive)", /convert it first/],
    ["x.pt", Uint8Array.of(0x80, 2, 0x8a, 0x0a), "FILE_NOT_GGUF", "a PyTorch file (pickle)", /convert it first/],
    [
      "ggjt.bin",
      "tjgg\x03\0\0\0",
      "FILE_NOT_GGUF",
      "an old llama.cpp file from before GGUF",
      /convert the original again/,
    ],
    [
      "ggla.bin",
      "algg\x01\0\0\0",
      "FILE_NOT_GGUF",
      "an old llama.cpp file from before GGUF",
      /convert_lora_to_gguf\.py/,
    ],
    ["x.gguf.gz", Uint8Array.of(0x1f, 0x8b, 8, 0), "FILE_NOT_GGUF", "a gzip archive", /unpack it/],
    ["page.gguf", "\n<!DOCTYPE html><html>", "FILE_NOT_GGUF", "a web page", /download again/],
    ["adapter_config.json", ' {"r": 8}', "FILE_NOT_GGUF", "a JSON file", /give the GGUF file/],
    ["other", "hello", "FILE_NOT_GGUF", null, /its first bytes are 68656c6c, not `GGUF`/],
    ["short", "x", "FILE_NOT_GGUF", null, /its first bytes are 78,/],
  ];
  it.each(cases)("%s", async (name, content, code, kind, message) => {
    const path = await folder.write(name, content);
    const error = await failure(readGguf(path));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, exitCode: 3 });
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${path}: `)).toBe(true);
    expect(error.details).toEqual(code === "FILE_NOT_GGUF" ? { path, kind } : { path });
  });

  it("missing files and folders of training tools", async () => {
    const at = async (name: string, ...files: string[]) => {
      const path = join(folder.path, name);
      await mkdir(path);
      for (const file of files) await writeFile(join(path, file), "{}");
      return (await failure(readGguf(path))).code;
    };
    expect(await at("peft", "adapter_config.json", "adapter_model.safetensors")).toBe("FILE_IS_PEFT_FOLDER");
    expect(await at("mlx", "adapter_config.json", "adapters.safetensors")).toBe("FILE_IS_MLX_FOLDER");
    expect(await at("plain")).toBe("FILE_IS_FOLDER");
    const nothing = join(folder.path, "nothing.gguf");
    expect(await failure(readGguf(nothing))).toMatchObject({ code: "FILE_MISSING", details: { path: nothing } });
    const below = join(await folder.write("file", "x"), "below.gguf");
    expect((await failure(readGguf(below))).code).toBe("FILE_MISSING");
    expect((await failure(readGguf("a\0b"))).code).toBe("FILE_UNREADABLE");
  });

  it.skipIf(process.platform === "win32")("devices and links that lead in a circle", async () => {
    expect((await failure(readGguf("/dev/null"))).code).toBe("FILE_NOT_REGULAR");
    const circle = join(folder.path, "circle.gguf");
    await symlink(circle, circle);
    const error = await failure(readGguf(circle));
    expect(error).toMatchObject({ code: "FILE_UNREADABLE", details: { path: circle, systemCode: "ELOOP" } });
    expect(error.message).toContain("cannot be read (ELOOP)");
  });

  it("a file that shrinks while it is read", async () => {
    const handle = await open(await folder.write("shrinks", Buffer.alloc(10, 7)), "r");
    const buffer = Buffer.alloc(8);
    await readExactly(handle, "shrinks", buffer, 2);
    expect(buffer.equals(Buffer.alloc(8, 7))).toBe(true);
    const error = await failure(readExactly(handle, "shrinks", buffer, 5));
    expect(error).toMatchObject({ code: "FILE_SHRANK", details: { path: "shrinks", position: 5, missingBytes: 3 } });
    await handle.close();
    expect((await failure(readExactly(handle, "shrinks", buffer, 0))).code).toBe("FILE_UNREADABLE");
  });
});
