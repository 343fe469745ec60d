import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../errors.js";
import { copyTensors } from "../gguf/copy-tensors.js";
import { writeExactly } from "../gguf/exact-io.js";
import type { TensorDescriptor } from "../gguf/gguf-file.js";
import { openForReading } from "../gguf/read-gguf.js";
import { requireTarget, writeTarget } from "../gguf/target-file.js";
import { rewritten, type TensorToWrite } from "../gguf/tensor-to-write.js";
import { readAdapter, type AdapterFile } from "../lora/adapter-file.js";
import { isEmbedding, type LoraPair } from "../lora/lora-pair.js";
import type { ModelFile } from "../lora/model-file.js";
import { changedTensor } from "../lora/tensor-change.js";
import { ARCHITECTURES, moduleName, type ArchitectureNames } from "./module-names.js";
import { CONFIG_NAME } from "./peft-config.js";
import { peftError } from "./peft-error.js";
import { permuted, transpose } from "./permute-rows.js";
import { WEIGHTS_NAME } from "./read-peft.js";
import { encodeSafetensorsHeader, readSafetensors } from "./safetensors.js";
import { headCountsOf, headsOf } from "./to-gguf.js";

export interface WritePeftOptions {
  /** Its heads are needed where llama.cpp orders rows of q and k otherwise: Llama, Mistral, SmolLM, Granite. */
  readonly model?: ModelFile | undefined;
  /** Write into a folder that has such files. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WrittenPeft {
  readonly folder: string;
  readonly bytes: number;
  readonly modules: number;
}

interface NamedPair {
  readonly pair: LoraPair;
  readonly module: string;
}

/**
 * Writes a GGUF adapter as a PEFT folder, `adapter_config.json` and `adapter_model.safetensors`, for PEFT, vLLM and the like: the way
 * back from `peftToGguf`, with the very same numbers (Q8_0 becomes F16).
 *
 * @param folder is made where it does not exist
 * @throws InputError PEFT_ARCHITECTURE, PEFT_MODULE for what has no such form; UsageError PEFT_NEEDS_BASE; see also `writeTarget`
 */
export async function writePeft(source: string, folder: string, options: WritePeftOptions = {}): Promise<WrittenPeft> {
  const { force = false, signal } = options;
  const adapter = await readAdapter(source);
  const { pairs, heads } = planPeft(adapter, options.model);
  const made = await mkdir(folder, { recursive: true });
  const target = { force, ...(signal && { signal }) };
  try {
    const weights = join(folder, WEIGHTS_NAME);
    const tensors = peftTensors(adapter, pairs, heads);
    const bytes = await writeTarget(weights, [source], target, async (handle, temporary) => {
      const header = encodeSafetensorsHeader(tensors);
      await writeExactly(handle, header, 0);
      await handle.truncate(header.length + tensors.reduce((sum, tensor) => sum + tensor.bytes, 0));
      const written = await readSafetensors(temporary);
      const places = new Map(written.tensors.map((tensor) => [tensor.name, tensor]));
      const from = await openForReading(source);
      try {
        const moves = tensors.flatMap((tensor) => {
          const to = places.get(tensor.name);
          return to === undefined ? [] : [{ from: tensor, source: from, to }];
        });
        await copyTensors(moves, handle, weights, 1, { signal });
      } finally {
        await from.close();
      }
      return written.fileBytes;
    });
    const config = Buffer.from(`${JSON.stringify(configOf(adapter, pairs), null, 2)}\n`);
    await writeTarget(join(folder, CONFIG_NAME), [source], target, (handle) => writeExactly(handle, config, 0));
    return { folder, bytes: bytes + config.length, modules: pairs.length };
  } catch (error) {
    // What did not exist before is gone again; another's folder keeps what it had.
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    throw error;
  }
}

/**
 * What {@link writePeft} asks before it writes, of the whole adapter or a larger one, for a command to ask before it starts.
 *
 * @throws as {@link writePeft}
 */
export async function requirePeft(
  adapter: AdapterFile,
  folder: string,
  { model, force = false }: WritePeftOptions = {},
): Promise<void> {
  planPeft(adapter, model);
  if ((await stat(folder).catch(() => null)) === null) return;
  for (const name of [WEIGHTS_NAME, CONFIG_NAME]) await requireTarget(join(folder, name), [adapter.path], { force });
}

function planPeft(adapter: AdapterFile, model: ModelFile | undefined) {
  const { path, architecture } = adapter;
  const names = ARCHITECTURES[architecture];
  if (names === undefined) {
    throw peftError(
      "ARCHITECTURE",
      path,
      `PEFT folders are written for ${Object.keys(ARCHITECTURES).join(", ")}, and the adapter is for \`${architecture}\`.`,
    );
  }
  const pairs = adapter.pairs.map((pair): NamedPair => ({ pair, module: moduleOf(pair, names, path) }));
  return { pairs, heads: headsFor(adapter, names, model) };
}

function moduleOf({ name }: LoraPair, names: ArchitectureNames, source: string): string {
  const module = moduleName(name, names);
  if (module !== null) return module;
  throw peftError(
    "MODULE",
    source,
    `\`${name}\` has no counterpart among the modules of a PEFT adapter for this architecture.`,
    {
      tensor: name,
    },
  );
}

function headsFor(adapter: AdapterFile, names: ArchitectureNames, model: ModelFile | undefined) {
  if (!names.permutesHeads || !adapter.pairs.some(({ module }) => module === "attn_q" || module === "attn_k"))
    return null;
  if (model !== undefined) return headCountsOf(model, adapter.path);
  throw new UsageError(
    "PEFT_NEEDS_BASE",
    `The rows of q and k stand in another order in PEFT, by the heads of the base model; give it with \`--base\`.`,
    { details: { option: "base" } },
  );
}

function peftTensors(
  adapter: AdapterFile,
  pairs: readonly NamedPair[],
  heads: ReturnType<typeof headsFor>,
): TensorToWrite[] {
  const parts = new Map(
    pairs.flatMap(({ pair, module }) => [[pair.a, { pair, module }] as const, [pair.b, { pair, module }] as const]),
  );
  return adapter.gguf.tensors.flatMap((tensor) => {
    const part = parts.get(tensor);
    return part === undefined ? [] : [peftTensor(tensor, part, heads)];
  });
}

function peftTensor(
  tensor: TensorDescriptor,
  { pair, module }: NamedPair,
  heads: ReturnType<typeof headsFor>,
): TensorToWrite {
  const [isA, embedding] = [tensor === pair.a, isEmbedding(pair.name)];
  const end = embedding ? `lora_embedding_${isA ? "A" : "B"}` : `lora_${isA ? "A" : "B"}.weight`;
  const others = tensor.elements / pair.rank;
  // A quantised tensor as F16, which multiplying by 1 makes of it.
  const floats = changedTensor(tensor, { factor: 1, pad: null, asFloat: tensor.type.blockElements !== 1 });
  const named = {
    ...floats,
    name: `base_model.model.${module}.${end}`,
    shape: isA ? [pair.rank, others] : [others, pair.rank],
  };
  if (isA && embedding) return rewritten(named, 1, (bytes) => transpose(bytes, others, named.type.blockBytes));
  const rowHeads = isA ? null : headsOf(pair.name, heads);
  return rowHeads === null ? named : permuted(named, others, rowHeads, true);
}

function configOf(adapter: AdapterFile, pairs: readonly NamedPair[]) {
  const rank = mostCommon(pairs.map(({ pair }) => pair.rank));
  const others = pairs.filter(({ pair }) => pair.rank !== rank);
  const baseModel = adapter.gguf.metadata.get("lora_boundary.base_model_name_or_path")?.decode() ?? null;
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: baseModel,
    inference_mode: true,
    r: rank,
    lora_alpha: adapter.alpha,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: false,
    rank_pattern: Object.fromEntries(others.map(({ pair, module }) => [escaped(module), pair.rank])),
    alpha_pattern: {},
    modules_to_save: null,
    ...targets(adapter, pairs),
    ...(adapter.invocationTokens !== null && { alora_invocation_tokens: adapter.invocationTokens }),
  };
}

/** Short names and a list of layers where every layer has the same modules, else every module by its whole name. */
function targets({ layers }: AdapterFile, pairs: readonly NamedPair[]) {
  const short = [...new Set(pairs.map(({ module }) => module.replace(/^model\.layers\.\d+\.(?:\w+\.)?/, "")))];
  const regular = pairs.every(({ pair }) => pair.layer !== null) && pairs.length === layers.length * short.length;
  return regular
    ? { target_modules: short, layers_to_transform: layers, layers_pattern: "layers" }
    : { target_modules: pairs.map(({ module }) => module), layers_to_transform: null };
}

/** The keys of PEFT's patterns are regular expressions. */
function escaped(module: string): string {
  return module.replaceAll(".", "\\.");
}

function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, first], [, second]) => second - first)[0]?.[0] ?? 0;
}
