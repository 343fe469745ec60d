import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BackendError, InputError, loadModel, type LoraBoundaryError } from "../../src/index.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { allBoundaries, differing } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";
import { contentsOf, layerOf, withTensors, withZeroB } from "../support/gguf-edit.js";
import { gguf, pair, split, tensor, value, withKey, type Contents } from "../support/gguf-files.js";

/** What a call failed with. */
async function failure(promise: Promise<unknown>): Promise<LoraBoundaryError> {
  const error: unknown = await promise.then(
    () => "nothing failed",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as LoraBoundaryError;
}

async function written<Result>(bytes: Buffer, use: (path: string) => Promise<Result>): Promise<Result> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "file.gguf");
  await writeFile(path, bytes);
  return await use(path);
}

const adapter = await contentsOf(DEMO.adapter);
const base = await contentsOf(DEMO.base);
const renamed = (contents: Contents, from: string, to: string) =>
  withTensors(contents, (it, name) => ({ ...it, name: name.replace(from, to) }));

describe("loadAdapter refuses", () => {
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2);
  const first = "blk.0.attn_q.weight";
  const nan = (contents: Contents) =>
    withTensors(contents, (it, name) => {
      if (name !== `${first}.lora_b`) return it;
      const data = Buffer.from(it.data);
      data.writeUInt16LE(0x7e00, 2 * 17);
      return { ...it, data };
    });
  const cases: [string, Buffer, string, string][] = [
    ["a truncated file", half(gguf(adapter)), "GGUF_TRUNCATED", "bytes are missing"],
    ["a model in its place", gguf(base), "ADAPTER_IS_MODEL", "give the base model first"],
    [
      "another architecture",
      gguf(withKey(adapter, "general.architecture", value.text("qwen2"))),
      "ARCHITECTURE_MISMATCH",
      "`qwen2`",
    ],
    [
      "alpha 0",
      gguf(withKey(adapter, "adapter.lora.alpha", value.f32(0))),
      "ADAPTER_ALPHA",
      "`adapter.lora.alpha` but received 0",
    ],
    ["no alpha", gguf(withKey(adapter, "adapter.lora.alpha", null)), "ADAPTER_ALPHA", "received nothing"],
    ["NaN", gguf(nan(adapter)), "ADAPTER_NOT_FINITE", `\`${first}.lora_b\` but element 17`],
    ["B all zero", gguf(withZeroB(adapter, () => true)), "ADAPTER_CHANGES_NOTHING", "changes nothing"],
    ["a layer beyond the model", gguf(renamed(adapter, "blk.11.", "blk.12.")), "LAYER_BEYOND_MODEL", "up to layer 12"],
    [
      "a tensor that the model lacks",
      gguf(renamed(adapter, "blk.3.attn_q.", "blk.3.attn_qkv.")),
      "TENSOR_NOT_IN_MODEL",
      "`blk.3.attn_qkv.weight`",
    ],
    [
      "half a pair",
      gguf(withTensors(adapter, (it, name) => (name === `${first}.lora_a` ? null : it))),
      "ADAPTER_INCOMPLETE_PAIR",
      `\`${first}.lora_a\``,
    ],
    ["no pair", gguf({ ...adapter, tensors: [] }), "ADAPTER_NO_PAIRS", "found none"],
    [
      "an unknown tensor",
      gguf({ ...adapter, tensors: [...adapter.tensors, tensor("extra", [32])] }),
      "ADAPTER_UNKNOWN_TENSOR",
      "`extra`",
    ],
    [
      "another width",
      gguf({ ...adapter, tensors: pair(first, [64, 128], 8, "F16") }),
      "SHAPE_MISMATCH",
      "`blk.0.attn_q.weight`",
    ],
    [
      "rank 0",
      gguf({ ...adapter, tensors: pair(first, [128, 128], 0, "F16") }),
      "ADAPTER_RANK_0",
      "`blk.0.attn_q.weight` has rank 0",
    ],
    [
      "ranks that differ in a pair",
      gguf({ ...adapter, tensors: [pair(first, [128, 128], 8, "F16")[0]!, pair(first, [128, 128], 4, "F16")[1]!] }),
      "ADAPTER_RANK_MISMATCH",
      "8",
    ],
    ["text", Buffer.from('{"prompt": "a"}\n'), "FILE_NOT_GGUF", "a JSON file"],
    ["nothing", Buffer.alloc(0), "FILE_EMPTY", "an empty file"],
  ];

  test.each(cases)("%s", async (_, bytes, code, message) => {
    await using model = await loadModel(DEMO.base);
    const error = await written(bytes, (path) => failure(model.loadAdapter(path)));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, exitCode: 3 });
    expect(error.message).toContain(message);
    // A refusal leaves the model as good as it was.
    expect((await model.loadAdapter(DEMO.adapter)).file.layers).toHaveLength(12);
  });
});

describe("loadModel refuses", () => {
  const bytes = gguf(base);
  const withoutTensor = withTensors(base, (it, name) => (name === "blk.3.attn_q.weight" ? null : it));
  const nonsense = withKey(
    withKey(base, "general.architecture", value.text("nonsense")),
    "nonsense.block_count",
    value.u32(12),
  );
  const cases: [string, Buffer, string, string, typeof InputError | typeof BackendError][] = [
    [
      "a truncated file",
      bytes.subarray(0, bytes.length - 1000),
      "GGUF_TRUNCATED",
      "1000 bytes are missing",
      InputError,
    ],
    ["an adapter in its place", gguf(adapter), "MODEL_IS_ADAPTER", "give the base model first", InputError],
    [
      "no layer count",
      gguf(withKey(base, "llama.block_count", null)),
      "MODEL_LAYER_COUNT",
      "`llama.block_count`",
      InputError,
    ],
    [
      "no layer count of its architecture",
      gguf(withKey(base, "general.architecture", value.text("nonsense"))),
      "MODEL_LAYER_COUNT",
      "`nonsense.block_count`",
      InputError,
    ],
    [
      "an architecture that llama.cpp does not know",
      gguf(nonsense),
      "MODEL_LOAD",
      "unknown model architecture",
      BackendError,
    ],
    ["a layer's tensor missing", gguf(withoutTensor), "MODEL_LOAD", "blk.3.attn_q.weight", BackendError],
    ["a vocabulary only", gguf({ ...base, tensors: [] }), "MODEL_NO_TENSORS", "without", InputError],
  ];

  test.each(cases)("%s", async (_, content, code, message, family) => {
    const error = await written(content, (path) => failure(loadModel(path)));
    expect(error).toBeInstanceOf(family);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  test("a file that is not there, and a folder", async () => {
    await using folder = await temporaryFolder();
    const missing = failure(loadModel(join(folder.path, "no.gguf")));
    expect(await missing).toMatchObject({ code: "FILE_MISSING", exitCode: 3 });
    expect(await failure(loadModel(folder.path))).toMatchObject({ code: "FILE_IS_FOLDER", exitCode: 3 });
  });
});

describe("a base model in parts", () => {
  const shards = split(base, 2);

  test("gives the very scores of the whole file", async () => {
    await using folder = await temporaryFolder();
    const path = (number: number) => join(folder.path, `demo-0000${number}-of-00002.gguf`);
    await writeFile(path(1), gguf(shards[0]!));
    await writeFile(path(2), gguf(shards[1]!));
    await using whole = await loadTrio(2);
    await using parts = await loadTrio(2, { ...DEMO, base: path(1) });
    expect(parts.model.file.shards).toHaveLength(2);
    expect(parts.model.facts).toEqual(whole.model.facts);
    const candidates = allBoundaries(12).filter((_, b) => b % 4 === 0);
    const options = { threads: 1, batchTokens: 256 };
    const scores = await parts.adapter.score(parts.set.samples, candidates, options);
    expect(differing(candidates, scores, await whole.adapter.score(whole.set.samples, candidates, options))).toEqual(
      [],
    );
  });

  test("one part missing, the second part given, a name that hides the others", async () => {
    await using folder = await temporaryFolder();
    const path = (name: string) => join(folder.path, name);
    await writeFile(path("demo-00001-of-00002.gguf"), gguf(shards[0]!));
    const missing = await failure(loadModel(path("demo-00001-of-00002.gguf")));
    expect(missing).toMatchObject({ code: "MODEL_SHARD_MISSING", exitCode: 3 });
    expect(missing.message).toContain("demo-00002-of-00002.gguf");
    await writeFile(path("demo-00002-of-00002.gguf"), gguf(shards[1]!));
    const second = await failure(loadModel(path("demo-00002-of-00002.gguf")));
    expect(second).toMatchObject({
      code: "MODEL_NOT_FIRST_SHARD",
      details: { first: path("demo-00001-of-00002.gguf") },
    });
    await writeFile(path("renamed.gguf"), await readFile(path("demo-00001-of-00002.gguf")));
    expect(await failure(loadModel(path("renamed.gguf")))).toMatchObject({ code: "MODEL_SHARD_NAME" });
  });

  test("layers that a part should have and does not", async () => {
    await using folder = await temporaryFolder();
    const path = (number: number) => join(folder.path, `demo-0000${number}-of-00002.gguf`);
    await writeFile(path(1), gguf(shards[0]!));
    await writeFile(path(2), gguf(withTensors(shards[1]!, (it, name) => (layerOf(name) === 11 ? null : it))));
    const error = await failure(loadModel(path(1)));
    expect(error.code).toBe("MODEL_SHARD_MISMATCH");
    expect(error.message).toContain("Expected 110 tensors in all parts together but found 101");
  });
});
