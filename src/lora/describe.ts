import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { readGguf } from "../gguf/read-gguf.js";
import { parseAdapter, saysAdapter, type AdapterFile } from "./adapter-file.js";
import type { LoraPair } from "./lora-pair.js";
import { parseModel, type ModelFile } from "./model-file.js";
import { provenanceOf } from "./provenance.js";
import { typeShares, type TypeShare } from "./quantization.js";

/** A few pairs taken together: one layer, or all that lies below or above the layers. */
export interface PairGroup {
  readonly pairs: number;
  readonly parameters: number;
  readonly bytes: number;
  /** Ascending. */
  readonly ranks: readonly number[];
  /** Tensor types, sorted. */
  readonly types: readonly string[];
  /** `attn_q`, `ffn_up`: in file order. */
  readonly modules: readonly string[];
}

interface FileDescription {
  readonly path: string;
  /** Of the format. */
  readonly version: number;
  readonly architecture: string;
  readonly name: string | null;
  /** Of all shards. */
  readonly bytes: number;
  readonly parameters: number;
  /** Most parameters first. */
  readonly types: readonly TypeShare[];
}

export interface AdapterDescription extends FileDescription {
  readonly kind: "adapter";
  readonly alpha: number;
  readonly rank: number;
  readonly ranks: readonly number[];
  readonly pairs: number;
  /** Ascending; only layers that have a pair. */
  readonly layers: readonly ({ readonly layer: number } & PairGroup)[];
  readonly globals: readonly { readonly name: string; readonly place: "input" | "output"; readonly pair: PairGroup }[];
  /** Names of norm tensors, which llama.cpp reads over. */
  readonly ignored: readonly string[];
  /** Names of tensors for which llama.cpp refuses the file. */
  readonly unknown: readonly string[];
  /** Token ids behind which an activated LoRA acts; null for an ordinary one. */
  readonly invocationTokens: readonly number[] | null;
  /** Keys `lora_boundary.*`; empty where another tool wrote the file. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

export interface ModelDescription extends FileDescription {
  readonly kind: "model";
  readonly layers: number;
  readonly quantization: string;
  readonly fileType: string | null;
  readonly contextLength: number | null;
  readonly embeddingLength: number | null;
  readonly tensors: number;
  readonly shards: readonly { readonly path: string; readonly bytes: number; readonly tensors: number }[];
}

/**
 * What is in a GGUF file, adapter or model, as plain data; from the header alone.
 *
 * @throws InputError see {@link readAdapter} and {@link readModel}
 */
export async function describeFile(path: string): Promise<AdapterDescription | ModelDescription> {
  const gguf = await readGguf(path);
  const looksLikeAdapter = saysAdapter(gguf) || gguf.tensors.some(({ name }) => name.endsWith(".lora_a"));
  return looksLikeAdapter ? describeAdapter(parseAdapter(gguf)) : describeModel(await parseModel(gguf));
}

/** The part of {@link describeFile} for an adapter that is open already. */
export function describeAdapter(adapter: AdapterFile): AdapterDescription {
  const { path, gguf, architecture, name, bytes, parameters, alpha, rank, ranks, invocationTokens } = adapter;
  return {
    kind: "adapter",
    path,
    version: gguf.version,
    architecture,
    name,
    bytes,
    parameters,
    types: typeShares(adapter.pairs.flatMap(({ a, b }) => [a, b])),
    alpha,
    rank,
    ranks,
    pairs: adapter.pairs.length,
    layers: adapter.layers.map((layer) => ({ layer, ...group(adapter.pairs.filter((pair) => pair.layer === layer)) })),
    globals: adapter.pairs.flatMap((pair) =>
      pair.place === "layer" ? [] : [{ name: pair.name, place: pair.place, pair: group([pair]) }],
    ),
    ignored: names(adapter.ignored),
    unknown: names(adapter.unknown),
    invocationTokens,
    provenance: provenanceOf(gguf.metadata),
  };
}

/** The part of {@link describeFile} for a model that is open already. */
export function describeModel(model: ModelFile): ModelDescription {
  const { path, architecture, name, bytes, parameters, layers, quantization, fileType } = model;
  return {
    kind: "model",
    path,
    version: model.shards[0]?.version ?? 0,
    architecture,
    name,
    bytes,
    parameters,
    types: typeShares([...model.tensors.values()]),
    layers,
    quantization,
    fileType,
    contextLength: model.contextLength,
    embeddingLength: model.embeddingLength,
    tensors: model.tensors.size,
    shards: model.shards.map((shard) => ({ path: shard.path, bytes: shard.fileBytes, tensors: shard.tensors.length })),
  };
}

function group(pairs: readonly LoraPair[]): PairGroup {
  return {
    pairs: pairs.length,
    parameters: pairs.reduce((sum, pair) => sum + pair.parameters, 0),
    bytes: pairs.reduce((sum, pair) => sum + pair.bytes, 0),
    ranks: [...new Set(pairs.map(({ rank }) => rank))].sort((first, second) => first - second),
    types: [...new Set(pairs.flatMap(({ a, b }) => [a.type.name, b.type.name]))].sort(),
    modules: pairs.map(({ module }) => module),
  };
}

function names(tensors: readonly TensorDescriptor[]): readonly string[] {
  return tensors.map(({ name }) => name);
}
