import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { converterHint, peftError } from "./peft-error.js";

export const CONFIG_NAME = "adapter_config.json";

/** What `adapter_config.json` says, as far as it changes the function. */
export interface PeftConfig {
  readonly path: string;
  /** Of the base model, as the training knew it. */
  readonly baseModel: string | null;
  /** Token ids behind which an activated LoRA acts; null for an ordinary one. */
  readonly invocationTokens: readonly number[] | null;
  /**
   * What the alpha of a GGUF file must be for a module of this rank: llama.cpp multiplies by alpha / rank, and PEFT by that, or with
   * rsLoRA by alpha / sqrt(rank).
   */
  readonly alphaOf: (module: string, rank: number) => number;
  /** The rank that the file of weights must have for the module. */
  readonly rankOf: (module: string) => number;
}

/** Settings under which the weights mean something else than B times A, with the values that change nothing. */
const NEUTRAL: readonly (readonly [key: string, neutral: readonly unknown[], name: string])[] = [
  ["use_dora", [false], "DoRA"],
  ["use_qalora", [false], "QALoRA"],
  ["fan_in_fan_out", [false], "transposed weights (`fan_in_fan_out`)"],
  ["bias", ["none"], "trained biases (`bias`)"],
  ["lora_bias", [false], "biases of B (`lora_bias`)"],
  ["modules_to_save", [], "whole modules saved beside LoRA (`modules_to_save`)"],
  ["layer_replication", [], "replicated layers (`layer_replication`)"],
  ["target_parameters", [], "LoRA on parameters (`target_parameters`)"],
  ["trainable_token_indices", [], "trained tokens (`trainable_token_indices`)"],
  ["invocation_string", [], "an activated LoRA without its token ids (`invocation_string`)"],
];

/**
 * Reads and checks `adapter_config.json`.
 *
 * @throws InputError PEFT_CONFIG for a file that is missing or wrong; PEFT_UNSUPPORTED for DoRA and the like, by name
 */
export async function readPeftConfig(folder: string): Promise<PeftConfig> {
  const path = join(folder, CONFIG_NAME);
  const config = await readObject(path);
  if (config["peft_type"] !== "LORA") {
    const message = `Expected \`peft_type\` LORA but received ${String(config["peft_type"])}; only LoRA adapters have layers to cut.`;
    throw peftError("UNSUPPORTED", path, message, { feature: config["peft_type"] });
  }
  const tokens = tokensAt(path, config["alora_invocation_tokens"]);
  for (const [key, neutral, name] of NEUTRAL) {
    const value = config[key];
    if (key === "invocation_string" && tokens !== null) continue;
    if (value === undefined || value === null || neutral.includes(value) || isEmpty(value)) continue;
    throw peftError(
      "UNSUPPORTED",
      path,
      `The adapter has ${name}, which cannot be converted here; ${converterHint(folder)} if it can.`,
      {
        feature: key,
      },
    );
  }
  const alpha = numberAt(path, config, "lora_alpha");
  const rank = numberAt(path, config, "r");
  const alphas = patternsAt(path, config, "alpha_pattern");
  const ranks = patternsAt(path, config, "rank_pattern");
  const rootOf = (r: number) => (config["use_rslora"] === true ? Math.sqrt(r) : 1);
  const base = config["base_model_name_or_path"];
  return {
    path,
    baseModel: typeof base === "string" ? base : null,
    invocationTokens: tokens,
    alphaOf: (module, r) => (matching(alphas, module) ?? alpha) * rootOf(r),
    rankOf: (module) => matching(ranks, module) ?? rank,
  };
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw peftError("CONFIG", path, `The adapter's configuration cannot be read (${reason}).`, {}, cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw peftError("CONFIG", path, "Expected a JSON object.");
}

function numberAt(path: string, config: Readonly<Record<string, unknown>>, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isFinite(value) && value !== 0) return value;
  throw peftError(
    "CONFIG",
    path,
    `Expected a number other than 0 for \`${key}\` but received ${JSON.stringify(value)}.`,
  );
}

interface Pattern {
  readonly matches: RegExp;
  readonly value: number;
}

/** As PEFT reads them: each key is a regular expression for the end of a module's name, from a point on. */
function patternsAt(path: string, config: Readonly<Record<string, unknown>>, key: string): readonly Pattern[] {
  return Object.entries(config[key] ?? {}).map(([pattern, value]) => {
    if (typeof value !== "number" || !Number.isFinite(value) || value === 0) {
      throw peftError(
        "CONFIG",
        path,
        `Expected a number other than 0 for \`${pattern}\` in \`${key}\` but received ${JSON.stringify(value)}.`,
      );
    }
    try {
      return { matches: new RegExp(`^(?:.*\\.)?(?:${pattern})$`), value };
    } catch (cause) {
      throw peftError(
        "CONFIG",
        path,
        `Expected a regular expression in \`${key}\` but received \`${pattern}\`.`,
        {},
        cause,
      );
    }
  });
}

function matching(patterns: readonly Pattern[], module: string): number | undefined {
  return patterns.find(({ matches }) => matches.test(module))?.value;
}

function tokensAt(path: string, value: unknown): readonly number[] | null {
  if (value === undefined || value === null || isEmpty(value)) return null;
  const isToken = (it: unknown) => Number.isInteger(it) && Number(it) >= 0 && Number(it) < 2 ** 32;
  if (Array.isArray(value) && value.every(isToken)) return value as number[];
  throw peftError("CONFIG", path, "Expected token ids for `alora_invocation_tokens`.");
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
