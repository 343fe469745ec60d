import { closeSync, openSync, writeSync } from "node:fs";
import { link, open, readdir, readFile, symlink, truncate, utimes, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { VerificationError } from "../../src/errors.js";
import { copyTensors, type TensorMove } from "../../src/gguf/copy-tensors.js";
import type { GgufFile, TensorDescriptor } from "../../src/gguf/gguf-file.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { rewritten } from "../../src/gguf/tensor-to-write.js";
import { writeGguf } from "../../src/gguf/write-gguf.js";
import { failure, useFolder } from "../support/data-files.js";
import { adapter, gguf, model, tensor, text, u16, u32, value, type Contents } from "../support/gguf-files.js";

const folder = useFolder();
let count = 0;
/** A new name in the folder. */
const fresh = () => join(folder.path, `out-${count++}.gguf`);

/** Metadata of every type, with what a careless writer would change: order, NaN bits, odd booleans, text that is no UTF-8. */
const AWKWARD: Contents["metadata"] = [
  ["z.last", value.u8(255)],
  ["general.architecture", value.text("llama")],
  ["a.bool", value.bool(7)],
  ["a.i8", value.i8(-1)],
  ["a.u16", value.u16(1)],
  ["a.i16", value.i16(-1)],
  ["a.u32", value.u32(2 ** 32 - 1)],
  ["a.i32", value.i32(-1)],
  ["a.nan", { type: 6, bytes: u32(0x7fa00001) }],
  ["a.u64", value.u64(2n ** 63n + 1n)],
  ["a.i64", value.i64(-1n)],
  ["a.f64", value.f64(-0)],
  ["a.latin1", value.text(Buffer.of(0x68, 0xe9, 0))],
  ["h\u00e9", value.array(9, [value.array(8, [text("x"), text("")]).bytes, value.array(2, [u16(3)]).bytes])],
  ["a.empty", value.array(9, [])],
];
const TENSORS = [tensor("odd", [3]), tensor("half", [5], "F16"), tensor("q", [32, 3], "Q8_0"), tensor("last", [7])];

const readBack = async (contents: Contents): Promise<GgufFile> =>
  readGguf(await folder.write(`in-${count++}.gguf`, gguf(contents)));

describe("the written file", () => {
  const cases: [name: string, contents: Contents][] = [
    ["version 3", { metadata: AWKWARD, tensors: TENSORS }],
    ["version 2", { version: 2, metadata: AWKWARD, tensors: TENSORS }],
    ["alignment 1", { alignment: 1, metadata: [["general.alignment", value.u32(1)]], tensors: TENSORS }],
    ["alignment 4096", { alignment: 4096, metadata: [["general.alignment", value.u32(4096)]], tensors: TENSORS }],
    ["no metadata", { metadata: [], tensors: TENSORS }],
    ["no tensors", { metadata: AWKWARD, tensors: [] }],
    ["an adapter", adapter()],
    ["a model", model()],
  ];
  it.each(cases)("has the bytes of its source: %s", async (_, contents) => {
    const target = fresh();
    const written = await writeGguf(target, await readBack(contents));
    const bytes = await readFile(target);
    expect(bytes.toString("hex")).toBe(gguf(contents).toString("hex"));
    expect(written).toEqual({ path: target, bytes: bytes.length });
  });

  it("takes tensors from several files, in any order, with other padding", async () => {
    const first = await readBack({ alignment: 64, metadata: [["general.alignment", value.u32(64)]], tensors: TENSORS });
    const second = await readBack({ metadata: AWKWARD, tensors: [tensor("other", [9], "BF16")] });
    const target = fresh();
    const picked = [first.tensors[3]!, second.tensors[0]!, first.tensors[0]!, first.tensors[1]!];
    await writeGguf(target, { version: 3, metadata: second.metadata, tensors: picked });
    const tensors = [TENSORS[3]!, tensor("other", [9], "BF16"), TENSORS[0]!, TENSORS[1]!];
    expect((await readFile(target)).equals(gguf({ metadata: AWKWARD, tensors }))).toBe(true);
  });

  it.each([
    ["one part larger than a block", 1],
    ["parts that divide no block evenly", 3],
    ["many small parts", 3 * 2 ** 16],
  ])("rewrites tensors part by part: %s", async (_, parts) => {
    const elements = 3 * 2 ** 18;
    const values = Buffer.from(Uint32Array.from({ length: elements }, (__, at) => at).buffer);
    const source = await readBack({ metadata: [], tensors: [TENSORS[0]!, tensor("big", [elements], "F32", values)] });
    // Each part is turned round, and has its first four bytes once more at its end.
    const size = values.length / parts;
    const turned = (bytes: Buffer) => {
      expect(bytes.length % size).toBe(0);
      const pieces = Array.from({ length: bytes.length / size }, (__, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      return Buffer.concat(pieces.flatMap((piece) => [Buffer.from(piece).reverse(), piece.subarray(0, 4)]));
    };
    const grown = elements + parts;
    const made = { ...rewritten(source.tensors[1]!, parts, turned), shape: [grown], elements: grown, bytes: 4 * grown };
    const target = fresh();
    await writeGguf(target, { ...source, tensors: [made, source.tensors[0]!] });
    const expected = gguf({ metadata: [], tensors: [tensor("big", [grown], "F32", turned(values)), TENSORS[0]!] });
    expect((await readFile(target)).equals(expected)).toBe(true);
  });

  it("does what is asked of a tensor in turn", async () => {
    const source = await readBack({
      metadata: [],
      tensors: [tensor("it", [4], "F32", Buffer.from("abcdefgh01234567"))],
    });
    const one = rewritten(source.tensors[0]!, 16, (bytes) => bytes.map((byte) => byte + 1) as Buffer);
    const two = rewritten(one, 2, (bytes) => Buffer.from(bytes.toString("latin1").replaceAll("b", "Z")));
    const target = fresh();
    await writeGguf(target, { ...source, tensors: [two] });
    expect((await readFile(target)).subarray(-32, -16).toString("latin1")).toBe("Zcdefghi12345678");
  });

  it("copies tensors larger than its blocks, and beyond what it syncs at a time", async () => {
    const big = Buffer.alloc(70 * 1024 * 1024);
    for (let at = 0; at < big.length; at += 4096) big.writeUInt32LE(at, at);
    const contents = { metadata: [], tensors: [TENSORS[0]!, tensor("big", [big.length / 4], "F32", big), TENSORS[1]!] };
    const source = await readBack(contents);
    const target = fresh();
    await writeGguf(target, { ...source, tensors: source.tensors.slice(1) });
    const expected = gguf({ metadata: [], tensors: contents.tensors.slice(1) });
    expect((await readFile(target)).equals(expected)).toBe(true);
  });
});

describe("never over the input", () => {
  const FORCE = { force: true };
  it.each(["itself", "hard link", "symbolic link", "other spelling"])("%s", async (way) => {
    const source = await readBack(adapter());
    const target = way === "itself" ? source.path : fresh();
    if (way === "hard link") await link(source.path, target);
    if (way === "symbolic link") await symlink(source.path, target);
    const path =
      way === "other spelling" ? join(folder.path, "..", source.path.slice(folder.path.lastIndexOf("/"))) : target;
    const before = await readdir(folder.path);
    for (const options of [FORCE, {}]) {
      const error = await failure(writeGguf(path, source, options));
      expect(error).toMatchObject({ code: "TARGET_IS_INPUT", exitCode: 2, details: { path, input: source.path } });
    }
    expect((await readFile(source.path)).equals(gguf(adapter()))).toBe(true);
    expect(await readdir(folder.path)).toEqual(before);
  });

  it("nor over the second of two inputs", async () => {
    const [first, second] = [await readBack(adapter()), await readBack(model())];
    const content = { ...first, tensors: [...first.tensors, ...second.tensors] };
    expect((await failure(writeGguf(second.path, content, FORCE))).code).toBe("TARGET_IS_INPUT");
    expect((await readFile(second.path)).equals(gguf(model()))).toBe(true);
  });
});

describe("failures leave nothing behind", () => {
  let before: string[];
  let source: GgufFile;
  beforeEach(async () => {
    source = await readBack(adapter());
    before = await readdir(folder.path);
  });
  const nothingNew = async () => {
    expect(await readdir(folder.path)).toEqual(before);
  };

  it("a source that is gone, or became shorter", async () => {
    const gone = { ...source.tensors[0]!, path: join(folder.path, "gone.gguf") };
    expect((await failure(writeGguf(fresh(), { ...source, tensors: [gone] }))).code).toBe("FILE_MISSING");
    await nothingNew();
    await truncate(source.path, source.fileBytes - 1);
    const error = await failure(writeGguf(fresh(), source));
    expect(error).toMatchObject({ code: "FILE_SHRANK", details: { path: source.path } });
    await nothingNew();
  });

  it("a source that somebody writes to meanwhile", async () => {
    const big = await readBack({ metadata: [], tensors: [tensor("big", [2 ** 18], "F32", Buffer.alloc(2 ** 20, 1))] });
    before = await readdir(folder.path);
    // Long before, so that the clock of the file system has moved on.
    await utimes(big.path, 0, 0);
    const onProgress = () => {
      const handle = openSync(big.path, "r+");
      writeSync(handle, Buffer.of(2), 0, 1, big.fileBytes - 1);
      closeSync(handle);
    };
    const error = await failure(writeGguf(fresh(), big, { onProgress }));
    expect(error).toMatchObject({ code: "FILE_CHANGED", exitCode: 3, details: { path: big.path } });
    await nothingNew();
  });

  it("a header that reads back otherwise than meant", async () => {
    const [first, second] = [source.tensors[0]!, source.tensors[1]!];
    const odd = { ...first, shape: [1], elements: 1, bytes: 8 };
    const error = await failure(writeGguf(fresh(), { ...source, tensors: [odd] }));
    expect(error).toBeInstanceOf(VerificationError);
    expect(error).toMatchObject({ code: "WRITTEN_HEADER_DIFFERS", exitCode: 6 });
    expect(error.details["what"]).toBe(`tensor \`${first.name}\``);
    const copied = { ...second, type: { ...second.type } };
    const other = await failure(writeGguf(fresh(), { ...source, tensors: [first, copied] }));
    expect(other.details["what"]).toBe(`tensor \`${second.name}\``);
    await nothingNew();
  });

  it("cancelled at every point where it looks at the signal", async () => {
    let looks = 0;
    for (let allowed = 0; ; allowed++) {
      let left = allowed;
      const signal = {
        get aborted() {
          looks += 1;
          return left-- <= 0;
        },
      } as AbortSignal;
      const target = fresh();
      const outcome = await writeGguf(target, source, { signal }).catch((error: unknown) => error);
      if (!(outcome instanceof Error)) {
        expect((await readFile(target)).equals(gguf(adapter()))).toBe(true);
        break;
      }
      expect(outcome).toMatchObject({ code: "CANCELLED", exitCode: 130 });
      await nothingNew();
    }
    // Before it starts, before its one block is copied, before the file takes its name.
    expect(looks).toBe(1 + 2 + 3 + 3);
  });

  it("cancelled while it copies", async () => {
    const contents = { metadata: [], tensors: [tensor("big", [2 ** 24], "F32", Buffer.alloc(2 ** 26, 1))] };
    const big = await readBack(contents);
    before = await readdir(folder.path);
    const controller = new AbortController();
    const writing = failure(writeGguf(fresh(), big, { signal: controller.signal }));
    setTimeout(() => {
      controller.abort();
    }, 5);
    expect((await writing).code).toBe("CANCELLED");
    await nothingNew();
  });
});

describe("re-reading what was written", () => {
  /** A file whose writes store one byte wrongly. */
  const faulty = (handle: FileHandle, wrongByte: number) =>
    ({
      read: handle.read.bind(handle),
      sync: handle.sync.bind(handle),
      datasync: handle.datasync.bind(handle),
      async write(buffer: Buffer, from: number, length: number, position: number) {
        const stored = Buffer.from(buffer.subarray(from, from + length));
        if (wrongByte >= position && wrongByte < position + length) stored[wrongByte - position]! ^= 1;
        return handle.write(stored, 0, length, position);
      },
    }) as unknown as FileHandle;

  it("finds a wrong byte in any tensor and names it", async () => {
    const file = await readBack({ metadata: [], tensors: TENSORS });
    const source = await open(file.path, "r");
    const target = await open(fresh(), "wx+");
    const moves = file.tensors.map((from: TensorDescriptor): TensorMove => ({ from, source, to: from }));
    await copyTensors(moves, faulty(target, -1), "target", 32);
    for (const { name, offset, bytes } of file.tensors) {
      for (const byte of [offset, offset + bytes - 1]) {
        const error = await failure(copyTensors(moves, faulty(target, byte), "target", 32));
        expect(error).toBeInstanceOf(VerificationError);
        expect(error).toMatchObject({ code: "WRITTEN_BYTES_DIFFER", exitCode: 6 });
        expect(error.details).toEqual({ path: "target", tensor: name, byte });
      }
    }
    await source.close();
    await target.close();
  });

  it("finds one in every block of a tensor", async () => {
    const [block, bytes] = [512 * 1024, 1024 * 1024 + 1024];
    const file = await readBack({ metadata: [], tensors: [tensor("big", [bytes / 4], "F32", Buffer.alloc(bytes, 1))] });
    const from = file.tensors[0]!;
    const [source, target] = [await open(file.path, "r"), await open(fresh(), "wx+")];
    for (const at of [0, block - 1, block, 2 * block, bytes - 1]) {
      const byte = from.offset + at;
      const copying = copyTensors([{ from, source, to: from }], faulty(target, byte), "target", 32);
      expect(await failure(copying)).toMatchObject({ code: "WRITTEN_BYTES_DIFFER", details: { tensor: "big", byte } });
    }
    await source.close();
    await target.close();
  });
});
