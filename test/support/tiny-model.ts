import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { seeded } from "./engine-samples.js";
import { adapterMetadata, f32, gguf, tensor, value, type Contents, type Entry, type Tensor } from "./gguf-files.js";

/**
 * A llama model that can be computed by hand: its attention adds nothing, so a token's logits depend on that token alone.
 * x = embedding; per layer x += (base and LoRA of ffn_down)(silu(gate n) * up n) with n = norm(x); logits = output norm(x).
 * The base's ffn_down is zero: what the layers do is what LoRA does.
 */
export interface TinyShape {
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly vocabulary: number;
  readonly rank: number;
  readonly alpha: number;
  /** Spread of the logits. */
  readonly spread: number;
  readonly seed: number;
}

type Matrix = readonly Float32Array[];

export interface TinyModel {
  readonly base: Contents;
  readonly adapter: Contents;
  /** NLL of `target` behind `token`, in double. @param strengths of the layers, and of the output head's pair */
  loss(token: number, target: number, strengths: readonly number[], outputStrength: number): number;
}

const EPSILON = 1e-5;
const HEADS = 2;

export function tinyModel(shape: TinyShape): TinyModel {
  const { width, inner, layers, vocabulary, rank, alpha, spread } = shape;
  const random = seeded(shape.seed);
  const matrix = (rows: number, columns: number, size: number): Matrix =>
    Array.from({ length: rows }, () => Float32Array.from({ length: columns }, () => (random() * 2 - 1) * size));
  const stored = (name: string, rows: Matrix): Tensor =>
    tensor(name, [rows[0]!.length, rows.length], "F32", Buffer.concat(rows.flatMap((row) => [...row].map(f32))));
  const vector = (name: string, row: Float32Array): Tensor =>
    tensor(name, [row.length], "F32", Buffer.concat([...row].map(f32)));
  const zeros = (name: string, rows: number, columns: number) =>
    tensor(name, [columns, rows], "F32", Buffer.alloc(4 * rows * columns));

  const embedding = matrix(vocabulary, width, 1);
  const output = matrix(vocabulary, width, spread / Math.sqrt(width));
  const outputNorm = matrix(1, width, 1)[0]!;
  const head = { a: matrix(rank, width, 0.3), b: matrix(vocabulary, rank, 0.3) };
  const blocks = Array.from({ length: layers }, () => ({
    norm: matrix(1, width, 1)[0]!,
    gate: matrix(inner, width, 0.5),
    up: matrix(inner, width, 0.5),
    a: matrix(rank, inner, 0.3),
    b: matrix(width, rank, 0.3),
  }));

  const scale = alpha / rank;
  const loss: TinyModel["loss"] = (token, target, strengths, outputStrength) => {
    let x = [...embedding[token]!];
    for (const [layer, { norm, gate, up, a, b }] of blocks.entries()) {
      const n = normalised(x, norm);
      const open = times(gate, n);
      const hidden = times(up, n).map((it, index) => (it * open[index]!) / (1 + Math.exp(-open[index]!)));
      const change = times(b, times(a, hidden));
      x = x.map((it, index) => it + scale * strengths[layer]! * change[index]!);
    }
    const final = normalised(x, outputNorm);
    const change = times(head.b, times(head.a, final));
    const logits = times(output, final).map((it, index) => it + scale * outputStrength * change[index]!);
    const maximum = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - maximum), 0);
    return Math.log(sum) + maximum - logits[target]!;
  };

  return {
    loss,
    base: {
      metadata: metadataOf(shape),
      tensors: [
        stored("token_embd.weight", embedding),
        vector("output_norm.weight", outputNorm),
        stored("output.weight", output),
        ...blocks.flatMap(({ norm, gate, up }, layer) => [
          vector(
            `blk.${layer}.attn_norm.weight`,
            Float32Array.from({ length: width }, () => 1),
          ),
          ...["attn_q", "attn_k", "attn_v", "attn_output"].map((it) =>
            zeros(`blk.${layer}.${it}.weight`, width, width),
          ),
          vector(`blk.${layer}.ffn_norm.weight`, norm),
          stored(`blk.${layer}.ffn_gate.weight`, gate),
          stored(`blk.${layer}.ffn_up.weight`, up),
          zeros(`blk.${layer}.ffn_down.weight`, width, inner),
        ]),
      ],
    },
    adapter: {
      metadata: adapterMetadata("llama", alpha),
      tensors: [
        ...blocks.flatMap(({ a, b }, layer) => [
          stored(`blk.${layer}.ffn_down.weight.lora_a`, a),
          stored(`blk.${layer}.ffn_down.weight.lora_b`, b),
        ]),
        stored("output.weight.lora_a", head.a),
        stored("output.weight.lora_b", head.b),
      ],
    },
  };
}

/** Both as files in a folder. @returns their paths */
export async function writeTiny(folder: string, { base, adapter }: Pick<TinyModel, "base" | "adapter">) {
  const paths = { base: join(folder, "base.gguf"), lora: join(folder, "lora.gguf") };
  await writeFile(paths.base, gguf(base));
  await writeFile(paths.lora, gguf(adapter));
  return paths;
}

function metadataOf({ width, inner, layers, vocabulary }: TinyShape): Entry[] {
  return [
    ["general.architecture", value.text("llama")],
    ["general.type", value.text("model")],
    ["llama.block_count", value.u32(layers)],
    ["llama.context_length", value.u32(256)],
    ["llama.embedding_length", value.u32(width)],
    ["llama.feed_forward_length", value.u32(inner)],
    ["llama.attention.head_count", value.u32(HEADS)],
    ["llama.attention.head_count_kv", value.u32(HEADS)],
    ["llama.attention.layer_norm_rms_epsilon", value.f32(EPSILON)],
    ["llama.rope.dimension_count", value.u32(width / HEADS)],
    ["llama.vocab_size", value.u32(vocabulary)],
    ["tokenizer.ggml.model", value.text("no_vocab")],
  ];
}

function times(rows: Matrix, x: readonly number[]): number[] {
  return rows.map((row) => row.reduce((sum, weight, index) => sum + weight * x[index]!, 0));
}

function normalised(x: readonly number[], weight: Float32Array): number[] {
  const meanSquare = x.reduce((sum, it) => sum + it * it, 0) / x.length;
  return x.map((it, index) => (it / Math.sqrt(meanSquare + EPSILON)) * weight[index]!);
}
