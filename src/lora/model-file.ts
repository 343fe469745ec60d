import { basename, dirname, join } from "node:path";
import { InputError } from "../errors.js";
import type { GgufFile, TensorDescriptor } from "../gguf/gguf-file.js";
import { readGguf } from "../gguf/read-gguf.js";
import { countAt, textAt, u16At, u32At } from "../gguf/typed-values.js";
import { quantizationOf } from "./quantization.js";

/** A base model: its facts and its tensor table over all shards. */
export interface ModelFile {
  /** As given: the first shard of a split model. */
  readonly path: string;
  /** Its shards in order; one for an ordinary file. */
  readonly shards: readonly GgufFile[];
  readonly architecture: string;
  /** `general.name`, if any. */
  readonly name: string | null;
  /** Number of layers, L. */
  readonly layers: number;
  /** The type of most of its weights, in ggml's words: `Q4_1`, `F16`. */
  readonly quantization: string;
  /** The name that `general.file_type` gives: `Q4_K_M`; null where the key is absent or unknown. */
  readonly fileType: string | null;
  /** Longest context in training, tokens; null where not stated. */
  readonly contextLength: number | null;
  readonly embeddingLength: number | null;
  readonly tensors: ReadonlyMap<string, TensorDescriptor>;
  readonly parameters: number;
  /** Of all shards. */
  readonly bytes: number;
}

/**
 * Reads the headers of a base model; of all its shards if it is split and `path` is the first of them.
 *
 * @throws InputError FILE_* and GGUF_* see {@link readGguf}; MODEL_* for a file that is no usable base model:
 *   IS_ADAPTER, TYPE, ARCHITECTURE, LAYER_COUNT, NO_TENSORS, NOT_FIRST_SHARD, SHARD_NAME, SHARD_MISSING, SHARD_MISMATCH
 */
export async function readModel(path: string): Promise<ModelFile> {
  return parseModel(await readGguf(path));
}

/** {@link readModel} on a file whose header was read before. */
export async function parseModel(first: GgufFile): Promise<ModelFile> {
  requireModel(first);
  const shards = await readShards(first);
  const architecture = textAt(first, "general.architecture");
  if (architecture === undefined) {
    throw modelError(
      first,
      "ARCHITECTURE",
      "Expected the metadata key `general.architecture`; convert the model again.",
    );
  }
  const layers = u32At(first, `${architecture}.block_count`);
  if (layers === undefined || layers === 0) {
    throw modelError(
      first,
      "LAYER_COUNT",
      `Expected the number of layers under \`${architecture}.block_count\` but received ${layers ?? "nothing"}.`,
    );
  }
  const tensors = joinTables(shards, first);
  if (tensors.size === 0) {
    throw modelError(
      first,
      "NO_TENSORS",
      "Expected a model with weights but received one without (a vocabulary only?).",
    );
  }
  const all = [...tensors.values()];
  return {
    path: first.path,
    shards,
    architecture,
    name: textAt(first, "general.name") ?? null,
    layers,
    ...quantizationOf(first, all),
    contextLength: countAt(first, `${architecture}.context_length`) ?? null,
    embeddingLength: countAt(first, `${architecture}.embedding_length`) ?? null,
    tensors,
    parameters: all.reduce((sum, { elements }) => sum + elements, 0),
    bytes: shards.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
  };
}

function requireModel(file: GgufFile): void {
  const type = textAt(file, "general.type");
  if (type === "adapter") {
    throw modelError(
      file,
      "IS_ADAPTER",
      "Expected a base model but received an adapter; give the base model first and the adapter second.",
    );
  }
  if (type !== undefined && type !== "model") {
    throw modelError(file, "TYPE", `Expected a language model but received a file of type \`${type}\`.`);
  }
}

async function readShards(first: GgufFile): Promise<GgufFile[]> {
  const count = countAt(first, "split.count") ?? 1;
  if (count <= 1) return [first];
  const number = countAt(first, "split.no") ?? 0;
  const name = basename(first.path);
  const suffix = shardSuffix(number, count);
  const prefix = name.slice(0, -suffix.length);
  if (!name.endsWith(suffix) || prefix === "") {
    throw modelError(
      first,
      "SHARD_NAME",
      `This is part ${number + 1} of a model split into ${count}; llama.cpp finds the other parts by name, so expected a name that ends in \`${suffix}\`. Rename it, or join the parts with \`llama-gguf-split --merge\`.`,
    );
  }
  const pathOf = (shard: number) => join(dirname(first.path), prefix + shardSuffix(shard, count));
  if (number !== 0) {
    throw modelError(
      first,
      "NOT_FIRST_SHARD",
      `This is part ${number + 1} of a model split into ${count}; give the first part: ${pathOf(0)}.`,
      { first: pathOf(0) },
    );
  }
  const shards = [first];
  for (let shard = 1; shard < count; shard++) shards.push(await readShard(first, pathOf(shard), shard, count));
  return shards;
}

async function readShard(first: GgufFile, path: string, number: number, count: number): Promise<GgufFile> {
  const shard = await readGguf(path).catch((error: unknown) => {
    if (!(error instanceof InputError) || error.code !== "FILE_MISSING") throw error;
    throw modelError(
      first,
      "SHARD_MISSING",
      `The model is split into ${count} parts and part ${number + 1} is missing: ${path}; download it into the same folder.`,
      { missing: path },
      error,
    );
  });
  if (u16At(shard, "split.no") !== number) {
    throw modelError(
      first,
      "SHARD_MISMATCH",
      `Expected part ${number + 1} of ${count} in ${path} but it says otherwise.`,
    );
  }
  return shard;
}

/** The ending that llama.cpp gives the files of a split model; `number` counts from 0. */
function shardSuffix(number: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, "0");
  return `-${digits(number + 1)}-of-${digits(count)}.gguf`;
}

function joinTables(shards: readonly GgufFile[], first: GgufFile): Map<string, TensorDescriptor> {
  const tensors = new Map<string, TensorDescriptor>();
  for (const tensor of shards.flatMap((shard) => shard.tensors)) {
    if (tensors.has(tensor.name)) {
      throw modelError(first, "SHARD_MISMATCH", `Tensor \`${tensor.name}\` stands in two parts of the model.`);
    }
    tensors.set(tensor.name, tensor);
  }
  const expected = countAt(first, "split.tensors.count");
  if (shards.length > 1 && expected !== undefined && expected !== tensors.size) {
    throw modelError(
      first,
      "SHARD_MISMATCH",
      `Expected ${expected} tensors in all parts together but found ${tensors.size}; download the parts again.`,
    );
  }
  return tensors;
}

function modelError(
  file: GgufFile,
  code: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): InputError {
  return new InputError(`MODEL_${code}`, `${file.path}: ${message}`, {
    cause,
    details: { path: file.path, ...details },
  });
}
