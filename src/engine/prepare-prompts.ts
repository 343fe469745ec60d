import { InputError, UsageError } from "../errors.js";
import type { CheckedGeneratorOptions } from "../generation/check-options.js";
import { DraftPool } from "../generation/draft-pool.js";
import type { Prompt } from "../generation/types.js";
import type { Model } from "./model.js";

/** A prompt as a generator answers it. */
export interface PreparedPrompt {
  readonly tokens: Int32Array;
  /** Tokens of its answer at most. */
  readonly most: number;
  readonly seed: number;
  readonly pool: DraftPool;
}

/**
 * Tokenises prompts, and refuses those that cannot be answered. Equal prompts get seeds of their own.
 *
 * @throws UsageError PROMPTS_EMPTY, PROMPT_TOKEN; InputError PROMPT_EMPTY, PROMPT_TOO_LONG
 */
export function preparePrompts(
  prompts: readonly Prompt[],
  model: Model,
  { maxTokens, contextTokens, seed }: CheckedGeneratorOptions,
): readonly PreparedPrompt[] {
  if (prompts.length === 0) {
    throw new UsageError("PROMPTS_EMPTY", "Expected at least one prompt for `prompts` but received none.");
  }
  const limit = contextTokens ?? (model.trainedContext > 0 ? model.trainedContext : Infinity);
  const seen = new Map<string, number>();
  return prompts.map((prompt, index) => {
    const tokens = typeof prompt === "string" ? promptTokens(prompt, model) : prompt;
    if (tokens.length === 0) {
      throw new InputError(
        "PROMPT_EMPTY",
        `Prompt ${index + 1} has no token, and something must come before an answer.`,
        {
          details: { prompt: index },
        },
      );
    }
    const wrong = tokens.find((token) => token < 0 || token >= model.facts.vocabulary);
    if (wrong !== undefined) {
      throw new UsageError(
        "PROMPT_TOKEN",
        `Expected tokens from 0 to ${model.facts.vocabulary - 1} but received ${wrong} in prompt ${index + 1}.`,
        { details: { prompt: index, token: wrong } },
      );
    }
    if (tokens.length >= limit) {
      throw new InputError(
        "PROMPT_TOO_LONG",
        `Prompt ${index + 1} has ${tokens.length} tokens but the context has ${limit}, and an answer needs room. Shorten the prompt${contextTokens === undefined ? "" : ", or give a larger `contextTokens`"}.`,
        { details: { prompt: index, tokens: tokens.length, limit } },
      );
    }
    const key = tokens.join();
    const earlier = seen.get(key) ?? 0;
    seen.set(key, earlier + 1);
    const most = Math.min(maxTokens, limit - tokens.length);
    return { tokens, most, seed: (seed + earlier) % 2 ** 31, pool: new DraftPool(tokens) };
  });
}

/** As samples are tokenised: control tokens in a text are text, and a BOS comes first where the model asks for one. */
function promptTokens(prompt: string, model: Model): Int32Array {
  const tokens = model.tokenize(prompt);
  if (!model.addBos || model.bos === null || tokens[0] === model.bos) return tokens;
  return Int32Array.from([model.bos, ...tokens]);
}
