import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GgufFile } from "../../src/gguf/gguf-file.js";
import { fingerprintOf, sha256OfFile } from "../../src/gguf/hash-file.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { countAt, f32At, textAt, u16At, u32ArrayAt, u32At } from "../../src/gguf/typed-values.js";
import { failure, useFolder } from "../support/data-files.js";
import { adapter, f32, gguf, tensor, u32, u64, value, type Entry } from "../support/gguf-files.js";

const folder = useFolder();
const sha256 = (...parts: Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest("hex");

describe("typed values", () => {
  const read = async (entries: Entry[]): Promise<GgufFile> =>
    readGguf(await folder.write("typed.gguf", gguf({ metadata: entries, tensors: [] })));

  it("gives values of the expected type and undefined for an absent key", async () => {
    const file = await read([
      ["text", value.text("t")],
      ["f32", value.f32(0.5)],
      ["u32", value.u32(9)],
      ["u16", value.u16(8)],
      ["i32", value.i32(-7)],
      ["list", value.array(4, [u32(3)])],
    ]);
    expect([textAt(file, "text"), f32At(file, "f32"), u32At(file, "u32"), u16At(file, "u16")]).toEqual([
      "t",
      0.5,
      9,
      8,
    ]);
    expect(["u32", "u16", "i32"].map((key) => countAt(file, key))).toEqual([9, 8, -7]);
    expect(u32ArrayAt(file, "list")).toEqual([3]);
    for (const at of [textAt, f32At, u32At, u16At, countAt, u32ArrayAt]) expect(at(file, "absent")).toBeUndefined();
  });

  it("refuses another type, naming both", async () => {
    const file = await read([
      ["u64", value.u64(1n)],
      ["list", value.array(6, [f32(1)])],
      ["f64", value.f64(1)],
    ]);
    const calls: [() => unknown, RegExp][] = [
      [() => textAt(file, "u64"), /Expected string for metadata key `u64` but received u64/],
      [() => f32At(file, "f64"), /Expected f32 for metadata key `f64` but received f64/],
      [() => u32At(file, "u64"), /Expected u32 .* received u64/],
      [() => u16At(file, "u64"), /Expected u16 .* received u64/],
      [() => countAt(file, "u64"), /Expected u32 or u16 or i32 .* received u64/],
      [() => countAt(file, "list"), /received an array of f32/],
      [() => u32ArrayAt(file, "list"), /Expected an array of u32 .* received an array of f32/],
      [() => u32ArrayAt(file, "u64"), /Expected an array of u32 .* received u64/],
    ];
    for (const [call, message] of calls) {
      const error = await failure(Promise.resolve().then(call));
      expect(error.code).toBe("GGUF_KEY_TYPE");
      expect(error.message).toMatch(message);
    }
  });
});

describe("hashes", () => {
  it("hashes whole files of any length, reports progress and is cancelled", async () => {
    const block = 4 * 1024 * 1024;
    for (const length of [0, 1, block, block + 1, 2 * block]) {
      const content = Buffer.alloc(length, "lora");
      const path = await folder.write("hashed", content);
      const steps: number[] = [];
      expect(await sha256OfFile(path, { onProgress: (done) => steps.push(done) })).toBe(sha256(content));
      expect(steps.at(-1) ?? 0).toBe(length);
      expect(steps.length).toBe(Math.ceil(length / block));
    }
    const path = join(folder.path, "hashed");
    expect((await failure(sha256OfFile(path, { signal: AbortSignal.abort() }))).code).toBe("CANCELLED");
    expect((await failure(sha256OfFile(join(folder.path, "nothing")))).code).toBe("FILE_MISSING");
  });

  it("fingerprints size, header and 64 blocks of the data", async () => {
    const print = async (content: Buffer) => fingerprintOf(await readGguf(await folder.write("print.gguf", content)));
    const small = gguf(adapter());
    expect(await print(small)).toBe(sha256(u64(small.length), small));

    const big = gguf({ metadata: [], tensors: [tensor("t", [1], "F32"), tensor("u", [256, 1024], "F32")] });
    const { dataOffset } = await readGguf(await folder.write("print.gguf", big));
    const step = (big.length - dataOffset - 4096) / 63;
    const blocks = Array.from({ length: 64 }, (_, index) => dataOffset + Math.floor(index * step));
    expect(await print(big)).toBe(
      sha256(u64(big.length), big.subarray(0, dataOffset), ...blocks.map((at) => big.subarray(at, at + 4096))),
    );
    expect(blocks[63]).toBe(big.length - 4096);
  });
});
