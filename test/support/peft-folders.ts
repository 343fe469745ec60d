import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { f32, gguf, tensor, u16, u64, value, VOCABULARY, type Contents } from "./gguf-files.js";

/** Tiny sizes, all different where the format allows it. */
export const SIZES = { embedding: 16, heads: 4, kvHeads: 2, headSize: 6, feedForward: 20, layers: 2 } as const;
const { embedding: E, heads, kvHeads, headSize, feedForward: F, layers } = SIZES;
const [Q, K] = [heads * headSize, kvHeads * headSize];

type Size = readonly [nIn: number, nOut: number];
const ATTENTION: Record<string, Size> = { attn_q: [E, Q], attn_k: [E, K], attn_v: [E, K], attn_output: [Q, E] };
const GATED: Record<string, Size> = { ...ATTENTION, ffn_gate: [E, F], ffn_up: [E, F], ffn_down: [F, E] };

/** GGUF modules of a layer with [n_in, n_out], by architecture. */
export const BASE_MODULES: Readonly<Record<string, Readonly<Record<string, Size>>>> = {
  ...Object.fromEntries(
    ["llama", "granite", "qwen2", "qwen3", "gemma2", "gemma3", "olmo2"].map((name) => [name, GATED]),
  ),
  phi3: { attn_qkv: [E, Q + 2 * K], attn_output: [Q, E], ffn_up: [E, 2 * F], ffn_down: [F, E] },
  starcoder2: { ...ATTENTION, ffn_up: [E, F], ffn_down: [F, E] },
};

/** The same in transformers' names. */
const MODULES: Readonly<Record<string, string>> = {
  ...{
    attn_q: "self_attn.q_proj",
    attn_k: "self_attn.k_proj",
    attn_v: "self_attn.v_proj",
    attn_output: "self_attn.o_proj",
  },
  ...{ ffn_gate: "mlp.gate_proj", ffn_up: "mlp.up_proj", ffn_down: "mlp.down_proj", attn_qkv: "self_attn.qkv_proj" },
};
const OTHER_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  phi3: { ffn_up: "mlp.gate_up_proj" },
  starcoder2: { ffn_up: "mlp.c_fc", ffn_down: "mlp.c_proj" },
};

export function baseModel(architecture: string): Contents {
  const modules = Object.entries(BASE_MODULES[architecture] ?? GATED);
  return {
    metadata: [
      ["general.architecture", value.text(architecture)],
      ["general.type", value.text("model")],
      [`${architecture}.block_count`, value.u32(layers)],
      [`${architecture}.attention.head_count`, value.u32(heads)],
      [`${architecture}.attention.head_count_kv`, value.u32(kvHeads)],
    ],
    tensors: [
      tensor("token_embd.weight", [E, VOCABULARY]),
      ...Array.from({ length: layers }, (_, layer) =>
        modules.map(([name, size]) => tensor(`blk.${layer}.${name}.weight`, size)),
      ).flat(),
      tensor("output.weight", [E, VOCABULARY]),
    ],
  };
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: "F32" | "F16" | "BF16" | "F64" | "I8";
  readonly shape: readonly number[];
  readonly data: Buffer;
}

/** A safetensors file from the format's description. */
export function safetensors(entries: readonly SafetensorsEntry[]): Buffer {
  let end = 0;
  const header = Object.fromEntries(
    entries.map(({ name, dtype, shape, data }) => {
      const offsets = [end, (end += data.length)];
      return [name, { dtype, shape, data_offsets: offsets }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  return Buffer.concat([u64(text.length), text, ...entries.map(({ data }) => data)]);
}

/** Numbers that differ everywhere; each is exact in BF16 and so in F16 and F32. */
export function numbers(count: number, seed: number, dtype: "F32" | "F16" | "BF16" = "F32"): Buffer {
  const bits = (index: number) => 0x3e00 + ((index * 37 + seed * 101) % 0x180);
  const asF32 = (index: number) => Buffer.from(new Uint32Array([bits(index) << 16]).buffer);
  const asF16 = (index: number) => u16(f16(asF32(index).readFloatLE()));
  const one = { F32: asF32, F16: asF16, BF16: (index: number) => u16(bits(index)) }[dtype];
  return Buffer.concat(Array.from({ length: count }, (_, index) => one(index)));
}

/** Of a normal number with at most 8 bits. */
function f16(it: number): number {
  const bits = f32(it).readUInt32LE();
  return ((bits >>> 16) & 0x8000) | ((((bits >>> 23) & 0xff) - 112) << 10) | ((bits >>> 13) & 0x3ff);
}

/** Every linear module of every layer, A before B, with the rank that `rankOf` gives. */
export function pairsOf(
  architecture: string,
  rankOf: (module: string) => number,
  dtype: "F32" | "F16" | "BF16" = "F32",
) {
  let seed = 0;
  return Array.from({ length: layers }, (_, layer) =>
    Object.entries(BASE_MODULES[architecture]!).flatMap(([gguf, [nIn, nOut]]) => {
      const module = `model.layers.${layer}.${OTHER_NAMES[architecture]?.[gguf] ?? MODULES[gguf]!}`;
      const rank = rankOf(module);
      const entry = (part: string, shape: readonly [number, number]): SafetensorsEntry => ({
        ...{ name: `base_model.model.${module}.lora_${part}.weight`, dtype, shape },
        data: numbers(shape[0] * shape[1], seed++, dtype),
      });
      return [entry("A", [rank, nIn]), entry("B", [nOut, rank])];
    }),
  ).flat();
}

export const CONFIG = { peft_type: "LORA", r: 4, lora_alpha: 8, bias: "none", target_modules: ["q_proj"] };

/** A folder as PEFT saves it; `weights` null leaves them out. */
export async function peftFolder(
  folder: string,
  weights: readonly SafetensorsEntry[] | Buffer | null,
  config: unknown = CONFIG,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "adapter_config.json"), typeof config === "string" ? config : JSON.stringify(config));
  if (weights !== null) {
    const bytes = Buffer.isBuffer(weights) ? weights : safetensors(weights);
    await writeFile(join(folder, "adapter_model.safetensors"), bytes);
  }
  return folder;
}

export async function writeBase(path: string, architecture: string): Promise<string> {
  await writeFile(path, gguf(baseModel(architecture)));
  return path;
}
