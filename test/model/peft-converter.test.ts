import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeTensor } from "../../src/gguf/decode-tensor.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { readModel } from "../../src/lora/model-file.js";
import { peftToGguf } from "../../src/peft/to-gguf.js";
import { useFolder } from "../support/data-files.js";
import { checkOutConverter, convertWithLlamaCpp, hasConverterPython } from "../support/llama-cpp-converter.js";
import { pairsOf, peftFolder, SIZES, writeBase } from "../support/peft-folders.js";

const hasPython = hasConverterPython();
const title = hasPython
  ? ""
  : " (SKIPPED: no Python with torch, transformers and safetensors; see LORA_BOUNDARY_PYTHON)";

/** What transformers calls the models whose GGUF architecture is the key. */
const CLASSES: readonly (readonly [architecture: string, name: string, type: string])[] = [
  ["llama", "LlamaForCausalLM", "llama"],
  ["llama", "MistralForCausalLM", "mistral"],
  ["granite", "GraniteForCausalLM", "granite"],
  ["qwen2", "Qwen2ForCausalLM", "qwen2"],
  ["qwen3", "Qwen3ForCausalLM", "qwen3"],
  ["gemma2", "Gemma2ForCausalLM", "gemma2"],
  ["gemma3", "Gemma3ForCausalLM", "gemma3_text"],
  ["olmo2", "Olmo2ForCausalLM", "olmo2"],
  ["phi3", "Phi3ForCausalLM", "phi3"],
  ["starcoder2", "Starcoder2ForCausalLM", "starcoder2"],
];

const folder = useFolder();

async function baseConfig(path: string, [, name, type]: (typeof CLASSES)[number]): Promise<string> {
  await mkdir(path);
  const config = {
    architectures: [name],
    model_type: type,
    hidden_size: SIZES.embedding,
    num_attention_heads: SIZES.heads,
    num_key_value_heads: SIZES.kvHeads,
    head_dim: SIZES.headSize,
    intermediate_size: SIZES.feedForward,
    num_hidden_layers: SIZES.layers,
    vocab_size: 12,
    max_position_embeddings: 64,
    original_max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    norm_epsilon: 1e-5,
    rope_theta: 10_000,
    sliding_window: 32,
    query_pre_attn_scalar: 8,
    attention_multiplier: 1,
    embedding_multiplier: 1,
    residual_multiplier: 1,
    logits_scaling: 1,
    tie_word_embeddings: false,
  };
  await writeFile(join(path, "config.json"), JSON.stringify(config));
  return path;
}

describe.skipIf(!hasPython)(`a PEFT folder, converted here and by llama.cpp's own converter${title}`, () => {
  beforeAll(() => {
    checkOutConverter(join(folder.path, "llama.cpp"));
  });

  it.each(CLASSES)("%s (%s): the same tensors, byte for byte", async (...kind) => {
    const [architecture, name] = kind;
    const at = (end: string) => join(folder.path, `${name}-${end}`);
    const base = await baseConfig(at("base"), kind);
    const model = await readModel(await writeBase(at("base.gguf"), architecture));
    // Most of the time is Python starting, so the second type is tried once.
    for (const dtype of name === "LlamaForCausalLM" ? (["F32", "BF16"] as const) : (["F32"] as const)) {
      const adapter = await peftFolder(
        at(dtype),
        pairsOf(architecture, () => 4, dtype),
      );
      const [ours, theirs] = [at(`${dtype}-ours.gguf`), at(`${dtype}-theirs.gguf`)];
      await peftToGguf(adapter, model, ours);
      convertWithLlamaCpp(join(folder.path, "llama.cpp"), base, adapter, theirs);
      const [one, two] = [await readAdapter(ours), await readAdapter(theirs)];
      const [bytes, others] = [await readFile(ours), await readFile(theirs)];
      expect([one.architecture, one.alpha]).toEqual([two.architecture, two.alpha]);
      const sorted = (file: typeof one) => [...file.gguf.tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(sorted(one).map((it) => [it.name, it.shape])).toEqual(sorted(two).map((it) => [it.name, it.shape]));
      sorted(one).forEach((tensor, index) => {
        const other = sorted(two)[index]!;
        const [mine, wanted] = [
          bytes.subarray(tensor.offset, tensor.offset + tensor.bytes),
          others.subarray(other.offset, other.offset + other.bytes),
        ];
        // The converter writes F32; numbers of 16 bits keep their type here.
        if (dtype === "F32") expect(mine.equals(wanted)).toBe(true);
        else expect(decodeTensor(tensor.type, mine)).toEqual(decodeTensor(other.type, wanted));
      });
    }
  });
});
