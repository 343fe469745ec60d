/** Modules of a layer by their names in transformers, below `layers.N.`, and in GGUF, below `blk.N.`. */
type ModuleNames = Readonly<Record<string, string>>;

const ATTENTION: ModuleNames = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
};
const GATED: ModuleNames = {
  ...ATTENTION,
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

/** How the adapters of an architecture map to GGUF, as in llama.cpp's converter. */
export interface ArchitectureNames {
  readonly modules: ModuleNames;
  /** llama.cpp keeps the rows of q and k in another order, see `permute-rows.ts`. */
  readonly permutesHeads: boolean;
}

/** By GGUF's name of the architecture; `llama` is also Mistral's and SmolLM's. */
export const ARCHITECTURES: Readonly<Record<string, ArchitectureNames>> = {
  llama: { modules: GATED, permutesHeads: true },
  granite: { modules: GATED, permutesHeads: true },
  qwen2: { modules: GATED, permutesHeads: false },
  qwen3: { modules: GATED, permutesHeads: false },
  gemma2: { modules: GATED, permutesHeads: false },
  gemma3: { modules: GATED, permutesHeads: false },
  olmo2: { modules: GATED, permutesHeads: false },
  phi3: {
    modules: {
      "self_attn.qkv_proj": "attn_qkv",
      "self_attn.o_proj": "attn_output",
      "mlp.gate_up_proj": "ffn_up",
      "mlp.down_proj": "ffn_down",
    },
    permutesHeads: false,
  },
  starcoder2: { modules: { ...ATTENTION, "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down" }, permutesHeads: false },
};

const EMBEDDING = "model.embed_tokens";
const HEAD = "lm_head";
/** Multimodal models have their language model one level down. */
const LAYER = /^(?:model\.)?(?:language_model\.)?(?:model\.)?layers\.(0|[1-9]\d{0,5})\.(.+)$/;

/** @returns GGUF's name of a module, `blk.3.attn_q.weight`; null where the architecture has none such */
export function ggufName(module: string, { modules }: ArchitectureNames): string | null {
  if (module === EMBEDDING) return "token_embd.weight";
  if (module === HEAD) return "output.weight";
  const match = LAYER.exec(module);
  const name = Object.hasOwn(modules, match?.[2] ?? "") ? modules[match?.[2] ?? ""] : undefined;
  return name === undefined ? null : `blk.${match?.[1] ?? ""}.${name}.weight`;
}

/** @returns the module that GGUF's name stands for, the way back from {@link ggufName}; null where there is none */
export function moduleName(name: string, { modules }: ArchitectureNames): string | null {
  if (name === "token_embd.weight") return EMBEDDING;
  if (name === "output.weight") return HEAD;
  const match = /^blk\.(\d+)\.(.+)\.weight$/.exec(name);
  const found = Object.entries(modules).find(([, gguf]) => gguf === match?.[2]);
  return found === undefined ? null : `model.layers.${match?.[1] ?? ""}.${found[0]}`;
}
