import { InputError } from "../errors.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";

/** Where in the network something acts: in a layer, below layer 0 or above the last layer. */
export type Place = "layer" | "input" | "output";

/** A half of a layer that can have a strength of its own. */
export type Part = "attention" | "ffn";

/** The two factors of one adapted tensor, checked against each other. */
export interface LoraPair {
  /** Of the base tensor: `blk.3.attn_q.weight`. */
  readonly name: string;
  readonly place: Place;
  /** Null outside the layers. */
  readonly layer: number | null;
  /** `attn_q`, `ffn_down_exps`, `token_embd`: the name without layer and `.weight`. */
  readonly module: string;
  readonly a: TensorDescriptor;
  readonly b: TensorDescriptor;
  readonly rank: number;
  /** Shape that the base tensor must have, in GGUF order: [n_in, n_out, experts]. */
  readonly baseShape: readonly [number, number, number];
  readonly parameters: number;
  readonly bytes: number;
}

const LAYER_NAME = /^blk\.(0|[1-9]\d{0,5})\.(.+)$/;
/** What runs before layer 0 in llama.cpp's graphs; all else outside the layers belongs to the head. */
const INPUT_NAME = /^(token_embd|token_types|position_embd|per_layer_)/;
const EMBEDDING_NAME = /token_embd\.weight$/;

/** The product for a token embedding is a row lookup, so llama.cpp stores its A as [r, n_vocab]; B stays [r, n_embd]. */
export function isEmbedding(name: string): boolean {
  return EMBEDDING_NAME.test(name);
}

/** Where a tensor belongs by its name; the pair of a name belongs where the name does. */
export function placeOf(name: string): { place: Place; layer: number | null; module: string } {
  const match = LAYER_NAME.exec(name);
  if (match !== null) return { place: "layer", layer: Number(match[1]), module: moduleOf(match[2] ?? "") };
  return { place: INPUT_NAME.test(name) ? "input" : "output", layer: null, module: moduleOf(name) };
}

/** `ffn` for the pairs that work on each token alone; what mixes tokens (attention, state space, convolution) is `attention`. */
export function partOf(module: string): Part {
  return /^(ffn_|channel_mix_)/.test(module) ? "ffn" : "attention";
}

function moduleOf(name: string): string {
  return name.replace(/\.weight$/, "");
}

/** A shape in the format "[576, 8]" for messages. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Size along an axis; trailing ones are not stored in the file. */
export function sizeAt(tensor: TensorDescriptor, axis: number): number {
  return tensor.shape[axis] ?? 1;
}

/**
 * Checks what llama.cpp does not: it ends the process where the ranks or the numbers of experts of A and B differ.
 *
 * @throws InputError ADAPTER_RANK_0, ADAPTER_RANK_MISMATCH, ADAPTER_PAIR_SHAPE, ADAPTER_TENSOR_TYPE
 */
export function makePair(name: string, a: TensorDescriptor, b: TensorDescriptor): LoraPair {
  const embedding = isEmbedding(name);
  const rankOfA = sizeAt(a, embedding ? 0 : 1);
  const rank = sizeAt(b, 0);
  const shapes = `lora_a ${shapeText(a.shape)} and lora_b ${shapeText(b.shape)}`;
  const error = (code: string, message: string) =>
    new InputError(code, `${a.path}: ${message}`, { details: { path: a.path, tensor: name, a: a.shape, b: b.shape } });

  for (const tensor of [a, b]) {
    if (!tensor.type.holdsWeights) {
      throw error(
        "ADAPTER_TENSOR_TYPE",
        `Expected weights in \`${tensor.name}\` but received type ${tensor.type.name}.`,
      );
    }
  }
  if (rank === 0 || rankOfA === 0) {
    throw error("ADAPTER_RANK_0", `The pair of \`${name}\` has rank 0 (${shapes}): it changes nothing; train again.`);
  }
  if (rank !== rankOfA) {
    throw error(
      "ADAPTER_RANK_MISMATCH",
      `Expected one rank in the pair of \`${name}\` but received ${rankOfA} in A and ${rank} in B (${shapes}); convert the adapter again with llama.cpp's current \`convert_lora_to_gguf.py\`.`,
    );
  }
  const experts = sizeAt(a, 2);
  if (experts !== sizeAt(b, 2) || sizeAt(a, 3) !== 1 || sizeAt(b, 3) !== 1 || a.elements * b.elements === 0) {
    throw error("ADAPTER_PAIR_SHAPE", `The two parts of \`${name}\` do not fit together: ${shapes}.`);
  }
  return {
    name,
    ...placeOf(name),
    a,
    b,
    rank,
    baseShape: embedding ? [sizeAt(b, 1), sizeAt(a, 1), experts] : [sizeAt(a, 0), sizeAt(b, 1), experts],
    parameters: a.elements + b.elements,
    bytes: a.bytes + b.bytes,
  };
}
