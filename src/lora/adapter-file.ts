import { InputError } from "../errors.js";
import type { GgufFile, TensorDescriptor } from "../gguf/gguf-file.js";
import { readGguf } from "../gguf/read-gguf.js";
import { countAt, f32At, textAt, u32ArrayAt } from "../gguf/typed-values.js";
import { makePair, type LoraPair } from "./lora-pair.js";

export const ALPHA_KEY = "adapter.lora.alpha";

/** A LoRA adapter, parsed and checked in itself; see {@link LoraPair} for shapes. */
export interface AdapterFile {
  readonly path: string;
  readonly gguf: GgufFile;
  readonly architecture: string;
  /** `general.name`, if any. */
  readonly name: string | null;
  /** Finite and not 0. A pair's strength is alpha / rank. */
  readonly alpha: number;
  /** In file order of their first part. */
  readonly pairs: readonly LoraPair[];
  /** Layers with at least one pair, ascending. */
  readonly layers: readonly number[];
  /** Every rank that occurs, ascending. */
  readonly ranks: readonly number[];
  /** The largest rank. */
  readonly rank: number;
  /** Elements of all pairs. */
  readonly parameters: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Whole norm tensors, which llama.cpp reads over. */
  readonly ignored: readonly TensorDescriptor[];
  /** Tensors that are neither; llama.cpp refuses an adapter that has one. */
  readonly unknown: readonly TensorDescriptor[];
  /** An activated LoRA acts only behind these token ids; null for an ordinary adapter. */
  readonly invocationTokens: readonly number[] | null;
}

/**
 * Reads a GGUF LoRA adapter: header only, so it takes a few milliseconds at any size.
 *
 * @throws InputError FILE_* and GGUF_* see {@link readGguf}; ADAPTER_* for a file that is no sound LoRA adapter:
 *   IS_MODEL, IS_SPLIT, TYPE, ARCHITECTURE, ALPHA, NO_PAIRS, INCOMPLETE_PAIR, RANK_0, RANK_MISMATCH, PAIR_SHAPE,
 *   TENSOR_TYPE, ENCODER_DECODER
 */
export async function readAdapter(path: string): Promise<AdapterFile> {
  return parseAdapter(await readGguf(path));
}

/** {@link readAdapter} on a file whose header was read before. */
export function parseAdapter(gguf: GgufFile): AdapterFile {
  const { path } = gguf;
  requireLora(gguf);
  const architecture = textAt(gguf, "general.architecture");
  if (architecture === undefined) {
    throw adapterError(
      gguf,
      "ARCHITECTURE",
      "Expected the metadata key `general.architecture`; convert the adapter again.",
    );
  }
  const { pairs, ignored, unknown } = pairUp(gguf);
  return {
    path,
    gguf,
    architecture,
    name: textAt(gguf, "general.name") ?? null,
    alpha: requireAlpha(gguf),
    pairs,
    layers: ascending(pairs.flatMap(({ layer }) => layer ?? [])),
    ranks: ascending(pairs.map(({ rank }) => rank)),
    rank: pairs.reduce((most, { rank }) => Math.max(most, rank), 0),
    parameters: pairs.reduce((sum, pair) => sum + pair.parameters, 0),
    bytes: gguf.fileBytes,
    ignored,
    unknown,
    invocationTokens: u32ArrayAt(gguf, "adapter.alora.invocation_tokens") ?? null,
  };
}

/** Whether a file says of itself that it is an adapter. */
export function saysAdapter(gguf: GgufFile): boolean {
  return textAt(gguf, "general.type") === "adapter";
}

function requireLora(gguf: GgufFile): void {
  if (!saysAdapter(gguf)) {
    const pairCount = gguf.tensors.filter(({ name }) => name.endsWith(".lora_a")).length;
    if (pairCount > 0) {
      throw adapterError(gguf, "TYPE", "Expected `general.type` to be `adapter`; convert the adapter again.");
    }
    throw adapterError(
      gguf,
      "IS_MODEL",
      "Expected a LoRA adapter but received a model; give the base model first and the adapter second.",
    );
  }
  const type = textAt(gguf, "adapter.type");
  if (type !== "lora") {
    throw adapterError(gguf, "TYPE", `Expected \`adapter.type\` to be \`lora\` but received \`${type ?? "nothing"}\`.`);
  }
  const shards = countAt(gguf, "split.count") ?? 1;
  if (shards > 1) {
    throw adapterError(
      gguf,
      "IS_SPLIT",
      `Expected an adapter in one file but received one of ${shards} parts, which llama.cpp cannot load; join them with \`llama-gguf-split --merge FIRST-PART OUTPUT\`.`,
    );
  }
}

function requireAlpha(gguf: GgufFile): number {
  const alpha = f32At(gguf, ALPHA_KEY);
  if (alpha === undefined || alpha === 0 || !Number.isFinite(alpha)) {
    throw adapterError(
      gguf,
      "ALPHA",
      `Expected a finite number other than 0 for \`${ALPHA_KEY}\` but received ${alpha ?? "nothing"}: the adapter's strength is unknown; convert it again from the folder that holds its adapter_config.json.`,
    );
  }
  return alpha;
}

function pairUp(gguf: GgufFile): Pick<AdapterFile, "pairs" | "ignored" | "unknown"> {
  const parts = new Map<string, { a?: TensorDescriptor; b?: TensorDescriptor }>();
  const ignored: TensorDescriptor[] = [];
  const unknown: TensorDescriptor[] = [];
  for (const tensor of gguf.tensors) {
    const match = /^(.+)\.lora_([ab])$/.exec(tensor.name);
    const base = match?.[1];
    // llama.cpp takes every ".lora_a" out of a name, so a second one would lead it to another tensor.
    if (base !== undefined && !/\.lora_[ab]/.test(base)) {
      parts.set(base, { ...parts.get(base), [match?.[2] === "a" ? "a" : "b"]: tensor });
    } else if (tensor.name.endsWith("_norm.weight")) {
      ignored.push(tensor);
    } else {
      unknown.push(tensor);
    }
  }
  if (parts.size === 0) {
    throw adapterError(gguf, "NO_PAIRS", "Expected pairs of `.lora_a` and `.lora_b` tensors but found none.");
  }
  const pairs = [...parts].map(([name, { a, b }]) => {
    if (/^(enc|dec)\.blk\./.test(name)) {
      throw adapterError(
        gguf,
        "ENCODER_DECODER",
        `The adapter is for an encoder-decoder model (\`${name}\`), which has no single row of layers to cut; only decoder models are supported.`,
      );
    }
    if (a === undefined || b === undefined) {
      const missing = a === undefined ? "lora_a" : "lora_b";
      throw adapterError(
        gguf,
        "INCOMPLETE_PAIR",
        `Expected both parts of the pair \`${name}\` but \`${name}.${missing}\` is missing; convert the adapter again.`,
        { tensor: name },
      );
    }
    return makePair(name, a, b);
  });
  return { pairs, ignored, unknown };
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((first, second) => first - second);
}

function adapterError(
  gguf: GgufFile,
  code: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): InputError {
  return new InputError(`ADAPTER_${code}`, `${gguf.path}: ${message}`, { details: { path: gguf.path, ...details } });
}
