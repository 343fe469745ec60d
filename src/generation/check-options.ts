import { UsageError } from "../errors.js";
import type { GeneratorOptions } from "./types.js";

/** The options, checked, with every default filled in but those that the machine decides. */
export type CheckedGeneratorOptions = {
  readonly [Name in Exclude<keyof GeneratorOptions, "threads" | "contextTokens">]-?: NonNullable<
    GeneratorOptions[Name]
  >;
} & Pick<GeneratorOptions, "threads" | "contextTokens">;

/** @throws UsageError GENERATE_OPTION */
export function checkGeneratorOptions(options: GeneratorOptions): CheckedGeneratorOptions {
  const { stop = [], drafts = true, threads, contextTokens } = options;
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== "string" || text === "")) {
    throw wrong("stop", "texts that are not empty", stop);
  }
  if (typeof drafts !== "boolean") throw wrong("drafts", "true or false", drafts);
  if (threads !== undefined) integer("threads", threads, 1, 512);
  if (contextTokens !== undefined) integer("contextTokens", contextTokens, 2, 2 ** 24);
  return {
    stop,
    drafts,
    threads,
    contextTokens,
    maxTokens: integer("maxTokens", options.maxTokens ?? 256, 1, 2 ** 24),
    seed: integer("seed", options.seed ?? 0, 0, 2 ** 31 - 1),
    sequences: integer("sequences", options.sequences ?? 16, 1, 256),
    batchTokens: integer("batchTokens", options.batchTokens ?? 512, 1, 2 ** 24),
    temperature: number("temperature", options.temperature ?? 0, 0, 1000),
    topP: number("topP", options.topP ?? 1, 0, 1),
    promptMebibytes: number("promptMebibytes", options.promptMebibytes ?? 512, 0, 2 ** 40),
  };
}

function integer(option: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw wrong(option, `an integer from ${low} to ${high}`, value);
  }
  return value;
}

function number(option: string, value: number, low: number, high: number): number {
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    throw wrong(option, `a number from ${low} to ${high}`, value);
  }
  return value;
}

function wrong(option: string, expected: string, received: unknown): UsageError {
  const shown = typeof received === "string" ? JSON.stringify(received) : String(received);
  return new UsageError("GENERATE_OPTION", `Expected ${expected} for \`${option}\` but received ${shown}.`, {
    details: { option },
  });
}
