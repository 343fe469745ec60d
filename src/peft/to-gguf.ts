import { basename, resolve } from "node:path";
import type { FileHandle } from "node:fs/promises";
import { readExactly, settleAll, throwIfCancelled } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { MetadataValue } from "../gguf/metadata.js";
import { openForReading } from "../gguf/read-gguf.js";
import { ScratchTensors } from "../gguf/scratch-tensors.js";
import { requireTarget } from "../gguf/target-file.js";
import { countAt } from "../gguf/typed-values.js";
import { writeGguf, type WrittenGguf } from "../gguf/write-gguf.js";
import { ALPHA_KEY } from "../lora/adapter-file.js";
import type { ModelFile } from "../lora/model-file.js";
import { changeTensor } from "../lora/tensor-change.js";
import { packageVersion } from "../package-version.js";
import { peftError } from "./peft-error.js";
import { permuteRows, transpose } from "./permute-rows.js";
import { readPeft, type PeftAdapter, type PeftPair } from "./read-peft.js";

export interface ConvertOptions {
  /** Write over an existing file. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of tensors that are made (reordered or multiplied) so far, and in all; the others are copied in one go. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** Pairs in work at the same time: one is read while another is reordered or written. */
const LANES = 2;

/** The byte orders that an adapter's rows have in llama.cpp. */
interface HeadCounts {
  readonly q: number;
  readonly k: number;
}

/**
 * Converts a PEFT adapter folder into a GGUF adapter for a base model, as llama.cpp's converter does; the numbers keep their type. Tensors
 * that need no reordering are streamed from the one file into the other. Where one alpha cannot say the strengths (alpha and rank
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
  await using scratch = await ScratchTensors.beside(target);
  const tensors = await ggufTensors(adapter, alpha, headCounts(adapter, model), scratch, options);
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
  const { force = false, signal } = options;
  return await writeGguf(target, { version: 3, metadata, tensors }, { force, ...(signal && { signal }) });
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

async function ggufTensors(
  { pairs, config, folder }: PeftAdapter,
  alpha: number,
  heads: HeadCounts | null,
  scratch: ScratchTensors,
  { signal, onProgress }: ConvertOptions,
): Promise<TensorDescriptor[]> {
  const [first] = pairs;
  const handle = await openForReading(first?.a.path ?? folder);
  const total = pairs.reduce((sum, { a, b }) => sum + a.bytes + b.bytes, 0);
  let done = 0;
  const tensors: TensorDescriptor[] = [];
  const queue = pairs.values();
  const lane = async () => {
    for (const pair of queue) {
      throwIfCancelled(signal);
      const factor = config.alphaOf(pair.module, pair.rank) / alpha;
      const a = await tensorA(pair, handle, scratch);
      tensors.push(a, await tensorB(pair, factor, headsOf(pair.ggufName, heads), handle, scratch));
      done += pair.a.bytes + pair.b.bytes;
      onProgress?.(done, total);
    }
  };
  try {
    await settleAll(Array.from({ length: LANES }, lane));
  } finally {
    await handle.close();
  }
  // In the order of the source, whose neighbours are then copied as one stretch.
  const order = new Map(
    pairs.flatMap(({ ggufName, a, b }) => [
      [`${ggufName}.lora_a`, a.offset],
      [`${ggufName}.lora_b`, b.offset],
    ]),
  );
  return tensors.sort((one, two) => (order.get(one.name) ?? 0) - (order.get(two.name) ?? 0));
}

/** Heads by which the rows of B are reordered; null where they stay. */
export function headsOf(ggufName: string, heads: HeadCounts | null): number | null {
  if (ggufName.endsWith(".attn_q.weight")) return heads?.q ?? null;
  return ggufName.endsWith(".attn_k.weight") ? (heads?.k ?? null) : null;
}

async function tensorA({ ggufName, a, rank }: PeftPair, handle: FileHandle, scratch: ScratchTensors) {
  const name = `${ggufName}.lora_a`;
  // Dimensions are stored the other way round, the numbers in the same order.
  if (ggufName !== "token_embd.weight") return { ...a, name, shape: [...a.shape].reverse() };
  const bytes = transpose(await bytesOf(handle, a), rank, a.type.blockBytes);
  return scratch.add({ name, type: a.type, shape: a.shape }, bytes);
}

async function tensorB(
  { ggufName, b, module }: PeftPair,
  factor: number,
  heads: number | null,
  handle: FileHandle,
  scratch: ScratchTensors,
): Promise<TensorDescriptor> {
  const described = { ...b, name: `${ggufName}.lora_b`, shape: [...b.shape].reverse() };
  if (factor === 1 && heads === null) return described;
  const [rows = 1] = b.shape;
  if (heads !== null && rows % (2 * heads) !== 0) {
    throw peftError(
      "SHAPE",
      b.path,
      `Expected rows in multiples of ${2 * heads} for \`${module}\` of a base model with ${heads} heads but received ${rows}.`,
    );
  }
  const bytes = await bytesOf(handle, b);
  const ordered = heads === null ? bytes : permuteRows(bytes, rows, heads);
  const { type, bytes: made } = changeTensor(described, ordered, { factor, pad: null });
  return scratch.add({ ...described, type }, made);
}

async function bytesOf(handle: FileHandle, tensor: TensorDescriptor): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(tensor.bytes);
  await readExactly(handle, tensor.path, bytes, tensor.offset);
  return bytes;
}
