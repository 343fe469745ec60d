import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { describeFile, type ModelDescription } from "../../src/lora/describe.js";
import { readModel } from "../../src/lora/model-file.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  gguf,
  model,
  split,
  tensor,
  value,
  withKey,
  type Contents,
  type Value,
} from "../support/gguf-files.js";

const folder = useFolder();
const key = (name: string, it: Value | null) => withKey(model(), name, it);

describe("a sound model", () => {
  it("gives its facts", async () => {
    const path = await folder.write("model.gguf", gguf(model()));
    const file = await readModel(path);
    expect(file).toMatchObject({
      ...{ path, architecture: "llama", name: "Tiny", layers: 3, quantization: "F16", fileType: "F16" },
      ...{
        contextLength: 128,
        embeddingLength: 8,
        bytes: gguf(model()).length,
        parameters: 2 * 96 + 8 + 3 * (64 + 128),
      },
    });
    expect([...file.tensors.keys()]).toEqual(model().tensors.map(({ name }) => name));
    expect(file.shards.map((shard) => shard.path)).toEqual([path]);
  });

  it("takes the quantisation from the layers, and the finer name from the file type", async () => {
    const contents = withKey(
      {
        ...model(),
        tensors: [...model(1).tensors, tensor("blk.0.x.weight", [32, 40], "Q4_0"), tensor("y", [8, 9999])],
      },
      "general.file_type",
      value.u32(15),
    );
    const described = (await describeFile(await folder.write("model.gguf", gguf(contents)))) as ModelDescription;
    expect([described.quantization, described.fileType]).toEqual(["Q4_0", "Q4_K_M"]);
    expect(described.types.map(({ type, tensors, parameters, bytes }) => [type, tensors, parameters, bytes])).toEqual([
      ["F32", 4, 2 * 96 + 8 + 8 * 9999, 4 * (2 * 96 + 8 + 8 * 9999)],
      ["Q4_0", 1, 1280, 720],
      ["F16", 2, 192, 384],
    ]);
    for (const [fileType, name] of [
      [value.u32(5), null],
      [value.u32(1024), null],
      [null, null],
      [value.i32(2), "Q4_0"],
    ] as const) {
      const path = await folder.write("model.gguf", gguf(key("general.file_type", fileType)));
      expect((await readModel(path)).fileType).toBe(name);
    }
  });

  it("may lack what is not needed", async () => {
    const facts = ["general.name", "general.type", "llama.context_length", "llama.embedding_length"];
    const bare = facts.reduce((contents, fact) => withKey(contents, fact, null), model());
    const file = await readModel(await folder.write("bare.gguf", gguf(bare)));
    expect(file).toMatchObject({ name: null, contextLength: null, embeddingLength: null, layers: 3 });
  });

  it("is described with its shards", async () => {
    const path = await folder.write("model.gguf", gguf(model(1)));
    const bytes = gguf(model(1)).length;
    const expected: ModelDescription = {
      ...{ kind: "model", path, version: 3, architecture: "llama", name: "Tiny", bytes, parameters: 392 },
      types: [
        { type: "F32", tensors: 3, parameters: 200, bytes: 800 },
        { type: "F16", tensors: 2, parameters: 192, bytes: 384 },
      ],
      ...{ layers: 1, quantization: "F16", fileType: "F16", contextLength: 128, embeddingLength: 8, tensors: 5 },
      shards: [{ path, bytes, tensors: 5 }],
    };
    expect(await describeFile(path)).toEqual(expected);
  });
});

describe("what is no usable model", () => {
  const cases: [name: string, contents: Contents, code: string, message: RegExp][] = [
    [
      "an adapter",
      adapter(),
      "MODEL_IS_ADAPTER",
      /received an adapter; give the base model first and the adapter second/,
    ],
    ["a projector", key("general.type", value.text("mmproj")), "MODEL_TYPE", /received a file of type `mmproj`/],
    ["no architecture", key("general.architecture", null), "MODEL_ARCHITECTURE", /`general\.architecture`/],
    [
      "no layer count",
      key("llama.block_count", null),
      "MODEL_LAYER_COUNT",
      /`llama\.block_count` but received nothing/,
    ],
    ["0 layers", key("llama.block_count", value.u32(0)), "MODEL_LAYER_COUNT", /received 0/],
    [
      "layer count of another architecture",
      key("general.architecture", value.text("qwen2")),
      "MODEL_LAYER_COUNT",
      /`qwen2\./,
    ],
    ["layer count as u64", key("llama.block_count", value.u64(3n)), "GGUF_KEY_TYPE", /Expected u32 .* received u64/],
    ["a vocabulary only", { ...model(), tensors: [] }, "MODEL_NO_TENSORS", /vocabulary only/],
    [
      "split, but not named so",
      key("split.count", value.u16(2)),
      "MODEL_SHARD_NAME",
      /ends in `-00001-of-00002\.gguf`/,
    ],
  ];
  it.each(cases)("%s", async (_, contents, code, message) => {
    const path = await folder.write("unusable.gguf", gguf(contents));
    const error = await failure(readModel(path));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, exitCode: 3, details: { path } });
    expect(error.message).toMatch(message);
  });
});

describe("a model in three parts", () => {
  let rounds = 0;
  /** Writes the parts into a folder of their own and gives their paths. */
  const write = async (parts: readonly Contents[], prefix = "big"): Promise<string[]> => {
    const at = join(folder.path, `split-${rounds++}`);
    await mkdir(at);
    const paths = parts.map((_, index) => join(at, `${prefix}-0000${index + 1}-of-0000${parts.length}.gguf`));
    for (const [index, part] of parts.entries()) await writeFile(paths[index]!, gguf(part));
    return paths;
  };
  const parts = () => split(model(), 3);

  it("is read as one", async () => {
    const paths = await write(parts());
    const file = await readModel(paths[0]!);
    expect(file.shards.map(({ path }) => path)).toEqual(paths);
    expect([...file.tensors.keys()]).toEqual(model().tensors.map(({ name }) => name));
    expect(file.tensors.get("output.weight")!.path).toBe(paths[2]);
    expect(file.bytes).toBe(parts().reduce((sum, part) => sum + gguf(part).length, 0));
    const whole = await readModel(await folder.write("model.gguf", gguf(model())));
    expect([file.parameters, file.layers, file.quantization]).toEqual([whole.parameters, 3, "F16"]);
    const { shards } = (await describeFile(paths[0]!)) as ModelDescription;
    expect(shards.map(({ tensors }) => tensors)).toEqual([3, 3, 3]);
  });

  it("with one missing, one cut short, one in another's place", async () => {
    const missing = await write(parts());
    const away = missing[1]! + ".away";
    await rename(missing[1]!, away);
    const lost = await failure(readModel(missing[0]!));
    expect(lost).toMatchObject({ code: "MODEL_SHARD_MISSING", details: { path: missing[0], missing: missing[1] } });
    expect(lost.message).toContain(`split into 3 parts and part 2 is missing: ${missing[1]!}`);
    expect(lost.cause).toMatchObject({ code: "FILE_MISSING" });

    await writeFile(missing[1]!, gguf(parts()[1]!).subarray(0, -1));
    expect(await failure(readModel(missing[0]!))).toMatchObject({
      code: "GGUF_TRUNCATED",
      details: { path: missing[1] },
    });

    const [first, second, third] = parts() as [Contents, Contents, Contents];
    const swapped = await write([first, third, second]);
    const error = await failure(readModel(swapped[0]!));
    expect(error.code).toBe("MODEL_SHARD_MISMATCH");
    expect(error.message).toContain(`Expected part 2 of 3 in ${swapped[1]!} but it says otherwise`);
  });

  it("whose parts are of two models", async () => {
    const [first, second, third] = parts() as [Contents, Contents, Contents];
    const double = await write([first, { ...second, tensors: first.tensors }, third]);
    expect((await failure(readModel(double[0]!))).message).toContain("`token_embd.weight` stands in two parts");
    const fewer = await write([first, { ...second, tensors: second.tensors.slice(1) }, third]);
    const error = await failure(readModel(fewer[0]!));
    expect(error.code).toBe("MODEL_SHARD_MISMATCH");
    expect(error.message).toContain("Expected 9 tensors in all parts together but found 8");
  });

  it("given by another than the first, or under another name", async () => {
    const paths = await write(parts());
    const error = await failure(readModel(paths[2]!));
    // A later part says neither what it is nor of which architecture: only its number.
    expect(error).toMatchObject({ code: "MODEL_NOT_FIRST_SHARD", details: { first: paths[0] } });
    expect(error.message).toContain(`part 3 of a model split into 3; give the first part: ${paths[0]!}`);
    expect((await failure(readModel((await write(parts(), ""))[0]!))).code).toBe("MODEL_SHARD_NAME");
    const renamed = paths[0]!.replace("-of-00003", "-of-00004");
    await rename(paths[0]!, renamed);
    expect((await failure(readModel(renamed))).code).toBe("MODEL_SHARD_NAME");
  });
});
