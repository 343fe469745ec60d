import { basename, resolve } from "node:path";
import { MetadataValue } from "../gguf/metadata.js";
import { requireTarget } from "../gguf/target-file.js";
import { rewritten, type TensorToWrite } from "../gguf/tensor-to-write.js";
import { countAt } from "../gguf/typed-values.js";
import { writeGguf, type WrittenGguf } from "../gguf/write-gguf.js";
import { ALPHA_KEY } from "../lora/adapter-file.js";
import type { ModelFile } from "../lora/model-file.js";
import { changedTensor } from "../lora/tensor-change.js";
import { packageVersion } from "../package-version.js";
import { peftError } from "./peft-error.js";
import { permuted, transpose } from "./permute-rows.js";
import { readPeft, type PeftAdapter, type PeftPair } from "./read-peft.js";

export interface ConvertOptions {
  /** Write over an existing file. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes written so far, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** The byte orders that an adapter's rows have in llama.cpp. */
interface HeadCounts {
  readonly q: number;
  readonly k: number;
}

/**
 * Converts a PEFT adapter folder into a GGUF adapter for a base model, as llama.cpp's converter does; the numbers keep their type. They are
 * streamed from the one file into the other, rows reordered on the way. Where one alpha cannot say the strengths (alpha and rank
 * patterns, rsLoRA at several ranks), the one of most pairs is written and the others are multiplied into B.
 *
 * @throws InputError PEFT_*, see {@link readPeft}; UsageError and BackendError see `writeGguf`; CancelledError
 */
export async function peftToGguf(
  folder: string,
  model: ModelFile,
  target: string,
  options: ConvertOptions = {},
): Promise<WrittenGguf> {
  const adapter = await readPeft(folder, model);
  const alpha = commonAlpha(adapter);
  await requireTarget(target, [], { force: options.force === true });
  const tensors = ggufTensors(adapter, alpha, headCounts(adapter, model));
  const metadata = new Map([
    ["general.architecture", MetadataValue.string(model.architecture)],
    ["general.type", MetadataValue.string("adapter")],
    ["adapter.type", MetadataValue.string("lora")],
    ["general.name", MetadataValue.string(basename(resolve(folder)))],
    [ALPHA_KEY, MetadataValue.f32(alpha)],
    ["lora_boundary.version", MetadataValue.string(packageVersion)],
    ["lora_boundary.converted_from", MetadataValue.string("peft")],
  ]);
  const { baseModel, invocationTokens } = adapter.config;
  if (baseModel !== null) metadata.set("lora_boundary.base_model_name_or_path", MetadataValue.string(baseModel));
  if (invocationTokens !== null) {
    metadata.set("adapter.alora.invocation_tokens", MetadataValue.u32Array(invocationTokens));
  }
  const { force = false, signal, onProgress } = options;
  return await writeGguf(target, { version: 3, metadata, tensors }, { force, signal, onProgress });
}

/** The alpha that the most elements want; of equals the first. */
function commonAlpha({ pairs, config }: PeftAdapter): number {
  const weights = new Map<number, number>();
  for (const { module, rank, a, b } of pairs) {
    const alpha = config.alphaOf(module, rank);
    weights.set(alpha, (weights.get(alpha) ?? 0) + a.elements + b.elements);
  }
  const [alpha = 1] = [...weights].sort(([, first], [, second]) => second - first)[0] ?? [];
  if (Math.fround(alpha) !== 0 && Number.isFinite(Math.fround(alpha))) return alpha;
  throw peftError("CONFIG", config.path, `Expected an alpha in the range of an f32 but received ${alpha}.`);
}

function headCounts({ names, pairs, folder }: PeftAdapter, model: ModelFile): HeadCounts | null {
  if (!names.permutesHeads || !pairs.some(({ ggufName }) => /\.attn_[qk]\./.test(ggufName))) return null;
  return headCountsOf(model, folder);
}

/** @throws InputError PEFT_HEADS where the base model does not say how many heads it has, or not for all layers alike */
export function headCountsOf(model: ModelFile, folder: string): HeadCounts {
  const [first] = model.shards;
  const at = (key: string) => {
    const full = `${model.architecture}.attention.${key}`;
    const value = first?.metadata.get(full);
    return first === undefined || value === undefined || value.type === "array" ? undefined : countAt(first, full);
  };
  const q = at("head_count");
  const k = at("head_count_kv") ?? q;
  if (q !== undefined && k !== undefined && q > 0 && k > 0) return { q, k };
  throw peftError(
    "HEADS",
    folder,
    `Expected one number of attention heads in the base model ${model.path}, by which rows of q and k are ordered, but it has none or one per layer.`,
  );
}

/** In the order of the source, whose neighbours are then copied as one stretch. */
function ggufTensors({ pairs, config }: PeftAdapter, alpha: number, heads: HeadCounts | null): TensorToWrite[] {
  const tensors = pairs.flatMap((pair) => {
    const factor = config.alphaOf(pair.module, pair.rank) / alpha;
    return [tensorA(pair), tensorB(pair, factor, headsOf(pair.ggufName, heads))];
  });
  return tensors.sort((one, two) => one.offset - two.offset);
}

/** Heads by which the rows of B are reordered; null where they stay. */
export function headsOf(ggufName: string, heads: HeadCounts | null): number | null {
  if (ggufName.endsWith(".attn_q.weight")) return heads?.q ?? null;
  return ggufName.endsWith(".attn_k.weight") ? (heads?.k ?? null) : null;
}

function tensorA({ ggufName, a, rank }: PeftPair): TensorToWrite {
  const name = `${ggufName}.lora_a`;
  // Dimensions are stored the other way round, the numbers in the same order.
  if (ggufName !== "token_embd.weight") return { ...a, name, shape: [...a.shape].reverse() };
  return rewritten({ ...a, name }, 1, (bytes) => transpose(bytes, rank, a.type.blockBytes));
}

function tensorB({ ggufName, b }: PeftPair, factor: number, heads: number | null): TensorToWrite {
  const [rows = 1] = b.shape;
  const described = { ...b, name: `${ggufName}.lora_b`, shape: [...b.shape].reverse() };
  const multiplied = changedTensor(described, { factor, pad: null });
  return heads === null ? multiplied : permuted(multiplied, rows, heads);
}
