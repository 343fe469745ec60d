import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ModelFile } from "../lora/model-file.js";
import { ARCHITECTURES, ggufName, type ArchitectureNames } from "./module-names.js";
import { readPeftConfig, type PeftConfig } from "./peft-config.js";
import { converterHint, peftError } from "./peft-error.js";
import { readSafetensors, type SafetensorsTensor } from "./safetensors.js";

export const WEIGHTS_NAME = "adapter_model.safetensors";

/** One adapted module of a PEFT folder. */
export interface PeftPair {
  /** `model.layers.3.self_attn.q_proj`. */
  readonly module: string;
  /** `blk.3.attn_q.weight`. */
  readonly ggufName: string;
  /** [r, n_in]; of an embedding [r, n_vocab]. */
  readonly a: SafetensorsTensor;
  /** [n_out, r]; of an embedding [n_embd, r]. */
  readonly b: SafetensorsTensor;
  readonly rank: number;
}

export interface PeftAdapter {
  readonly folder: string;
  readonly config: PeftConfig;
  readonly names: ArchitectureNames;
  /** In the order of their data. */
  readonly pairs: readonly PeftPair[];
}

const PREFIX = /^base_model\.model\./;
const PART = /^(.+)\.(?:lora_(A|B)\.weight|lora_embedding_(A|B))$/;

/**
 * Reads a PEFT adapter's folder, headers only, and holds it against the base model that it is to run on.
 *
 * @throws InputError FILE_*; PEFT_CONFIG, PEFT_SAFETENSORS, PEFT_DTYPE for what is damaged; PEFT_ARCHITECTURE, PEFT_UNSUPPORTED,
 *   PEFT_PICKLED, PEFT_SHARDED, PEFT_MODULE for what is not converted here; PEFT_NO_WEIGHTS, PEFT_INCOMPLETE_PAIR, PEFT_SHAPE,
 *   PEFT_NOT_IN_MODEL where folder and base model do not fit
 */
export async function readPeft(folder: string, model: ModelFile): Promise<PeftAdapter> {
  const config = await readPeftConfig(folder);
  const names = ARCHITECTURES[model.architecture];
  if (names === undefined) {
    throw peftError(
      "ARCHITECTURE",
      folder,
      `Adapter folders are converted for ${Object.keys(ARCHITECTURES).join(", ")}, and the base model is \`${model.architecture}\`; ${converterHint(folder)}.`,
      { architecture: model.architecture },
    );
  }
  await requireWeights(folder);
  const { path, tensors } = await readSafetensors(join(folder, WEIGHTS_NAME));
  const parts = new Map<string, { A?: SafetensorsTensor; B?: SafetensorsTensor }>();
  for (const tensor of tensors) {
    const match = PART.exec(tensor.name.replace(PREFIX, ""));
    const [, module = "", linear, embedding] = match ?? [];
    if (match === null) {
      const what = tensor.name.includes("lora_magnitude_vector")
        ? "DoRA's magnitudes"
        : "neither A nor B of a LoRA pair";
      throw peftError(
        "MODULE",
        path,
        `\`${tensor.name}\` is ${what}, which cannot be converted here; ${converterHint(folder)} if it can.`,
        {
          tensor: tensor.name,
        },
      );
    }
    const part = (linear ?? embedding) as "A" | "B";
    parts.set(module, { ...parts.get(module), [part]: tensor });
  }
  if (parts.size === 0) throw peftError("NO_WEIGHTS", path, "Expected LoRA pairs but the file has no tensors.");
  const pairs = [...parts].map(([module, { A, B }]) => pairOf(module, A, B, { folder, path, names, config, model }));
  return { folder, config, names, pairs };
}

async function requireWeights(folder: string): Promise<void> {
  const files = await readdir(folder);
  if (files.includes(WEIGHTS_NAME)) return;
  if (files.includes("adapter_model.bin")) {
    throw peftError(
      "PICKLED",
      folder,
      `Expected ${WEIGHTS_NAME} but received adapter_model.bin, a pickled file, which can run code when it is read; save the adapter with \`safe_serialization=True\`, or ${converterHint(folder)}.`,
    );
  }
  if (files.some((name) => /^adapter_model.*(-of-\d+\.safetensors|\.index\.json)$/.test(name))) {
    throw peftError(
      "SHARDED",
      folder,
      `Expected ${WEIGHTS_NAME} but the adapter is split into several files; save it in one file with a larger \`max_shard_size\`.`,
    );
  }
  throw peftError(
    "NO_WEIGHTS",
    folder,
    `Expected ${WEIGHTS_NAME} in the folder but it is not there; copy or download it again.`,
  );
}

interface Surroundings {
  readonly folder: string;
  readonly path: string;
  readonly names: ArchitectureNames;
  readonly config: PeftConfig;
  readonly model: ModelFile;
}

function pairOf(
  module: string,
  a: SafetensorsTensor | undefined,
  b: SafetensorsTensor | undefined,
  { folder, path, names, config, model }: Surroundings,
): PeftPair {
  const name = ggufName(module, names);
  if (name === null) {
    throw peftError(
      "MODULE",
      path,
      `\`${module}\` is no module that is converted for \`${model.architecture}\`, the base model's architecture; give the base model that the adapter was trained on, or ${converterHint(folder)}.`,
      { module },
    );
  }
  if (a === undefined || b === undefined) {
    throw peftError(
      "INCOMPLETE_PAIR",
      path,
      `Expected A and B of \`${module}\` but ${a === undefined ? "A" : "B"} is missing.`,
      { module },
    );
  }
  const base = model.tensors.get(name);
  if (base === undefined) {
    throw peftError(
      "NOT_IN_MODEL",
      path,
      `\`${module}\` would be \`${name}\`, which the base model does not have${name === "output.weight" ? " (its output shares the weights of its token embedding)" : ""}; give the base model that the adapter was trained on.`,
      { module, tensor: name },
    );
  }
  const [rank = 0] = a.shape;
  const embedding = name === "token_embd.weight";
  const [baseIn = 1, baseOut = 1] = base.shape;
  const [wantedA, wantedB] = embedding ? [baseOut, baseIn] : [baseIn, baseOut];
  const fits = a.shape.length === 2 && b.shape.length === 2 && rank > 0 && b.shape[1] === rank;
  if (!fits || a.shape[1] !== wantedA || b.shape[0] !== wantedB) {
    throw peftError(
      "SHAPE",
      path,
      `Expected A [r, ${wantedA}] and B [${wantedB}, r] for \`${module}\` of this base model but received [${a.shape.join(", ")}] and [${b.shape.join(", ")}]; give the base model that the adapter was trained on.`,
      { module, a: a.shape, b: b.shape },
    );
  }
  if (config.rankOf(module) !== rank) {
    throw peftError(
      "SHAPE",
      path,
      `Expected rank ${config.rankOf(module)} for \`${module}\` by ${config.path} but the weights have ${rank}; the two files are not of one adapter.`,
      { module, rank },
    );
  }
  return { module, ggufName: name, a, b, rank };
}
