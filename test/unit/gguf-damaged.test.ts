import { describe, expect, it } from "vitest";
import { mulberry32 } from "../../src/data/shuffle.js";
import { InputError, LoraBoundaryError } from "../../src/errors.js";
import { LIMITS } from "../../src/gguf/limits.js";
import { parseHeader } from "../../src/gguf/parse-header.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { parseAdapter, readAdapter } from "../../src/lora/adapter-file.js";
import { checkValues } from "../../src/lora/adapter-values.js";
import { checkCompatible } from "../../src/lora/compatibility.js";
import { describeAdapter, describeFile } from "../../src/lora/describe.js";
import { readModel } from "../../src/lora/model-file.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  gguf,
  header,
  model,
  tensor,
  u32,
  u64,
  value,
  withKey,
  type Contents,
} from "../support/gguf-files.js";

const folder = useFolder();
const MAX_U64 = 2n ** 64n - 1n;
const MIB = 1024 * 1024;
const keyed = (...metadata: Contents["metadata"]): Contents => ({ metadata, tensors: [] });
const withTensors = (...tensors: Contents["tensors"]): Contents => ({ metadata: [], tensors });
const [one, two] = [tensor("one", [8]), tensor("two", [8])];
const nested = (depth: number) => {
  let array = value.array(0, []);
  for (let level = 1; level < depth; level++) array = value.array(9, [array.bytes]);
  return array;
};

describe("malformed headers", () => {
  const cases: [name: string, content: Contents | Buffer, code: string, message: RegExp][] = [
    ["version 0", { version: 0, ...keyed() }, "VERSION", /version 2 or 3 but received version 0/],
    ["version 1", { version: 1, ...keyed() }, "VERSION_1", /version 1, which llama\.cpp no longer reads/],
    ["version 4", { version: 4, ...keyed() }, "VERSION", /received version 4; a newer lora-boundary/],
    [
      "big-endian",
      Buffer.concat([Buffer.from("GGUF"), Buffer.of(0, 0, 0, 3), Buffer.alloc(16)]),
      "BIG_ENDIAN",
      /gguf_convert_endian\.py FILE little/,
    ],
    ["value type 13", keyed(["k", { type: 13, bytes: u32(0) }]), "VALUE_TYPE", /from 0 to 12 for `k` but received 13/],
    ["element type 13", keyed(["k", value.array(13, [u32(0)])]), "VALUE_TYPE", /for `k` but received 13/],
    ["a key twice", keyed(["k", value.u8(1)], ["k", value.u8(1)]), "DUPLICATE_KEY", /key `k` stands in the file twice/],
    ["an empty key", keyed(["", value.u8(1)]), "NAME", /for a metadata key but received nothing at byte 32/],
    [
      "a key with a zero byte",
      keyed(["a\0b", value.u8(1)]),
      "NAME",
      /without zero bytes for a metadata key .* byte 32/,
    ],
    ["a key not in UTF-8", keyed([Buffer.of(0x61, 0xe9), value.u8(1)]), "NAME", /Expected UTF-8 text .* byte 32/],
    ["a tensor twice", withTensors(one, one), "DUPLICATE_TENSOR", /Tensor `one` stands in the file twice/],
    ["a nameless tensor", withTensors({ ...one, name: "" }), "NAME", /for a tensor name but received nothing/],
    ["a tensor name not in UTF-8", withTensors({ ...one, name: Buffer.of(0xff) }), "NAME", /for a tensor name/],
    ["no dimension", withTensors({ ...one, shape: [] }), "SHAPE", /1 to 4 dimensions for tensor `one` but received 0/],
    ["5 dimensions", withTensors({ ...one, shape: [8, 1, 1, 1, 1] }), "SHAPE", /`one` but received 5/],
    ["half a block", withTensors(tensor("q", [48], "Q8_0")), "SHAPE", /`q` to be a multiple of 32 .* Q8_0.* \[48\]/],
    ["an unknown type", withTensors({ ...one, typeId: 99 }), "TENSOR_TYPE", /tensor `one` but received id 99/],
    ["a removed type", withTensors({ ...one, typeId: 4 }), "TENSOR_TYPE", /received id 4/],
    ["overlap", withTensors(one, { ...two, offset: 0 }), "OFFSET", /`two` .* at offset 32 but received offset 0/],
    ["a gap", withTensors(one, { ...two, offset: 64 }), "OFFSET", /`two` .* offset 32 but received offset 64/],
    ["a late start", withTensors({ ...one, offset: 32 }), "OFFSET", /`one` .* offset 0 but received offset 32/],
    [
      "a crooked offset",
      withTensors(one, { ...two, offset: 36 }),
      "OFFSET",
      /multiple of the alignment 32 but received 36/,
    ],
    ["alignment 0", keyed(["general.alignment", value.u32(0)]), "ALIGNMENT", /power of two .* received 0/],
    ["alignment 48", keyed(["general.alignment", value.u32(48)]), "ALIGNMENT", /received 48/],
    [
      "alignment 2 MiB",
      keyed(["general.alignment", value.u32(2 * MIB)]),
      "ALIGNMENT",
      /up to 1048576.* received 2097152/,
    ],
    ["alignment 2^31", keyed(["general.alignment", value.u32(2 ** 31)]), "ALIGNMENT", /received 2147483648/],
    ["alignment as u64", keyed(["general.alignment", value.u64(32n)]), "ALIGNMENT", /as u32, .* received u64/],
  ];
  it.each(cases)("%s", async (_, content, code, message) => {
    const path = await folder.write("malformed.gguf", Buffer.isBuffer(content) ? content : gguf(content));
    const error = await failure(readGguf(path));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: `GGUF_${code}`, exitCode: 3, details: { path } });
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${path}: `)).toBe(true);
  });
});

describe("limits", () => {
  const huge = (shape: (number | bigint)[]) => withTensors({ ...one, shape });
  const cases: [name: string, content: Contents, received: string][] = [
    ["tensors", { ...keyed(), tensorCount: LIMITS.tensors + 1 }, "at most 262144 tensors but received 262145"],
    ["tensors, u64", { ...keyed(), tensorCount: MAX_U64 }, "tensors but received 18446744073709552000"],
    ["metadata keys", { ...keyed(), keyCount: LIMITS.metadataKeys + 1 }, "65536 metadata keys but received 65537"],
    ["key length", keyed(["k".repeat(65_536), value.u8(0)]), "65535 bytes in a metadata key but received 65536"],
    ["tensor name", withTensors(tensor("n".repeat(64), [8])), "63 bytes in a tensor name but received 64"],
    ["string", keyed(["k", { type: 8, bytes: u64(128 * MIB + 1) }]), "bytes of a string in k but received 134217729"],
    ["array", keyed(["k", value.array(0, [], 64 * MIB + 1)]), "67108864 elements in k but received 67108865"],
    ["array, u64", keyed(["k", value.array(8, [], MAX_U64)]), "elements in k but received 18446744073709552000"],
    ["nesting", keyed(["k", nested(9)]), "Expected at most 8 arrays inside each other in `k`"],
    ["dimension", huge([MAX_U64]), "elements along a dimension in one but received 18446744073709552000"],
    ["elements", huge([2 ** 30, 2 ** 30]), "a possible size for tensor `one` but received [1073741824, 1073741824]"],
    ["bytes", huge([2n ** 52n]), "a possible size for tensor `one` but received [4503599627370496]"],
    [
      "offset",
      withTensors({ ...one, offset: 2n ** 53n }),
      "bytes before the data in one but received 9007199254740992",
    ],
  ];
  it.each(cases)("%s", async (_, content, message) => {
    const error = await failure(readGguf(await folder.write("limit.gguf", gguf(content))));
    expect(error.code).toBe("GGUF_LIMIT");
    expect(error.message).toContain(message);
  });

  it("takes what lies at the limit", async () => {
    const longest = "k".repeat(LIMITS.keyBytes);
    const contents = keyed([longest, nested(8)], ["general.alignment", value.u32(LIMITS.alignment)]);
    const file = await readGguf(await folder.write("limit.gguf", gguf(contents)));
    expect(file.metadata.get(longest)!.decode()).toEqual([[[[[[[[]]]]]]]]);
    expect(file.alignment).toBe(MIB);
  });

  it("refuses a header above 512 MiB before it reads it", () => {
    const bytes = header(keyed(["k", value.array(10, [], 64 * MIB)]));
    expect(() => parseHeader(bytes, "x.gguf", 2 ** 40)).toThrow(/^x\.gguf: Expected at most 536870912 bytes before/);
  });

  it("believes no count that the file is too short for", async () => {
    const claims: Contents[] = [
      { ...keyed(), tensorCount: LIMITS.tensors },
      { ...keyed(), keyCount: LIMITS.metadataKeys },
      keyed(["k", value.array(8, [], LIMITS.arrayLength)]),
      keyed(["k", value.array(9, [], LIMITS.arrayLength)]),
      keyed(["k", { type: 8, bytes: u64(LIMITS.stringBytes) }]),
    ];
    for (const claim of claims) {
      const error = await failure(readGguf(await folder.write("claim.gguf", header(claim))));
      expect(error.code).toBe("GGUF_TRUNCATED");
    }
  });
});

describe("a file cut at every byte", () => {
  const cases: [name: string, contents: Contents][] = [
    ["adapter", withKey(adapter([0]), "words", value.array(8, [Buffer.concat([u64(2), Buffer.from("hi")])]))],
    ["model", { ...model(1), tensors: model(1).tensors.slice(3) }],
  ];
  it.each(cases)("%s", async (name, contents) => {
    const whole = gguf(contents);
    const headerBytes = header(contents).length;
    const dataOffset = Math.ceil(headerBytes / 32) * 32;
    const read = name === "adapter" ? readAdapter : readModel;
    const tableStart = header({ ...contents, tensors: [] }).length;
    for (let length = 0; length < whole.length; length++) {
      const error = await failure(read(await folder.write("cut.gguf", whole.subarray(0, length))));
      if (length === 0) {
        expect(error.code).toBe("FILE_EMPTY");
        continue;
      }
      const { part, missingBytes } = error.details as { part: string; missingBytes: number };
      const expected =
        length < 24
          ? "header"
          : length < tableStart
            ? "metadata"
            : length < headerBytes
              ? "tensor table"
              : "tensor data";
      expect([length, error.code, part]).toEqual([length, "GGUF_TRUNCATED", expected]);
      expect(error.message).toMatch(/ends in its .* download or copy it again\.$/);
      if (part === "tensor data") expect(missingBytes).toBe(whole.length - length);
      else expect(missingBytes > 0 && missingBytes <= dataOffset - length).toBe(true);
    }
    expect((await read(await folder.write("cut.gguf", whole))).bytes).toBe(whole.length);
  });

  it("names the first tensor that is not whole", async () => {
    const whole = gguf(adapter([0]));
    const error = await failure(readGguf(await folder.write("cut.gguf", whole.subarray(0, whole.length - 65))));
    expect(error.message).toContain("from tensor `blk.0.ffn_down.weight.lora_a` on: 65 bytes are missing of a file");
  });
});

describe("2,000 random single-byte changes", () => {
  const aligned = (contents: Contents) => withKey(contents, "general.alignment", value.u32(32));
  const cases: [name: string, contents: Contents, seed: number][] = [
    ["adapter", aligned(adapter()), 11],
    ["model", aligned(model(1)), 12],
  ];
  it.each(cases)("%s: read soundly or refused with an error of our own", async (name, contents, seed) => {
    const base = await readModel(await folder.write("base.gguf", gguf(model())));
    const whole = gguf(contents);
    // Nine of ten changes hit the header, where there is something to break.
    const headerBytes = header(contents).length;
    const next = mulberry32(seed);
    const pick = (below: number) => Math.floor((next() / 2 ** 32) * below);
    const codes = new Map<string, number>();
    for (let round = 0; round < 1000; round++) {
      const bytes = Buffer.from(whole);
      const at = pick(round % 10 === 0 ? bytes.length : headerBytes);
      bytes[at] = bytes[at]! ^ (1 + pick(255));
      const path = await folder.write("changed.gguf", bytes);
      let outcome = "read";
      try {
        const file = await readGguf(path);
        for (const [, it] of file.metadata) it.decode();
        for (const { offset, bytes: size } of file.tensors) {
          expect(offset >= file.dataOffset && offset + size <= whole.length).toBe(true);
        }
        expect((await describeFile(path)).bytes).toBe(whole.length);
        if (name === "adapter") {
          const parsed = parseAdapter(file);
          checkCompatible(base, parsed);
          await checkValues(parsed);
          expect(JSON.stringify(describeAdapter(parsed))).toContain('"kind":"adapter"');
        }
      } catch (error) {
        if (!(error instanceof LoraBoundaryError)) throw error;
        expect(error).toBeInstanceOf(InputError);
        outcome = error.code;
      }
      codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    }
    // Names, values and data may change unnoticed; counts, types, shapes and offsets may not.
    expect(codes.get("read")).toBeGreaterThan(50);
    expect(codes.size).toBeGreaterThan(10);
    for (const code of ["GGUF_TRUNCATED", "GGUF_LIMIT", "GGUF_VALUE_TYPE", "GGUF_OFFSET", "GGUF_TENSOR_TYPE"]) {
      expect([code, codes.has(code)]).toEqual([code, true]);
    }
  });
});
