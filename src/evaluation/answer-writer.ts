import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { Generator } from "../engine/generator.js";
import { CancelledError, InternalError } from "../errors.js";
import type { Answer, GenerationFacts, GeneratorOptions } from "../generation/types.js";
import type { NamedScales } from "../lora/candidate.js";
import { answerPrompts } from "./answer-prompt.js";

/** How answers that are judged are written: greedily, since chance would hide small differences. */
export type AnswerOptions = Pick<
  GeneratorOptions,
  "maxTokens" | "stop" | "sequences" | "drafts" | "contextTokens" | "batchTokens" | "threads"
>;

export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Answers of this call that are complete. */
  readonly onAnswer?: ((done: number) => void) | undefined;
}

/** What was written so far. */
export interface AnswerFacts extends GenerationFacts {
  readonly answers: number;
  /** Of them, those that went on to the last token allowed; they are judged as they are. */
  readonly cut: number;
}

/**
 * Lets candidates answer samples, some samples at a time. What was written to a sample is a draft for whoever answers it next;
 * only the samples that are being answered take up a model's context.
 */
export class AnswerWriter implements AsyncDisposable {
  readonly #generators: readonly Generator[];
  #awake: Generator | null = null;
  #answers = 0;
  #cut = 0;

  /**
   * @param batches sample indices that are answered together
   * @throws InputError SAMPLES_NO_PROMPT, PROMPT_TOO_LONG; UsageError GENERATE_OPTION
   */
  constructor(
    adapter: Adapter,
    samples: Pick<SampleSet, "samples" | "path">,
    batches: readonly (readonly number[])[],
    options: AnswerOptions = {},
  ) {
    const prompts = answerPrompts(samples);
    this.#generators = batches.map((batch) =>
      adapter.openGenerator(
        batch.flatMap((sample) => prompts[sample] ?? []),
        options,
      ),
    );
  }

  get facts(): AnswerFacts {
    const all = this.#generators.map(({ facts }) => facts);
    const sum = (value: (facts: GenerationFacts) => number) => all.reduce((total, one) => total + value(one), 0);
    return {
      answers: this.#answers,
      cut: this.#cut,
      steps: sum(({ steps }) => steps),
      tokensComputed: sum(({ tokensComputed }) => tokensComputed),
      tokensWritten: sum(({ tokensWritten }) => tokensWritten),
      draftsProposed: sum(({ draftsProposed }) => draftsProposed),
      draftsAccepted: sum(({ draftsAccepted }) => draftsAccepted),
      seconds: sum(({ seconds }) => seconds),
      notices: [...new Set(all.flatMap(({ notices }) => notices))],
    };
  }

  /**
   * @param batch index of the samples to answer
   * @returns one per sample of the batch, in its order; an answer may be empty
   * @throws MemoryError, BackendError, CancelledError
   */
  async write(candidate: NamedScales, batch: number, options: WriteOptions = {}): Promise<readonly string[]> {
    const { signal, onAnswer } = options;
    const generator = this.#generators[batch];
    if (generator === undefined) throw new InternalError("ANSWERS_SHAPE", `There is no batch ${batch} of samples.`);
    if (signal?.aborted === true) throw new CancelledError();
    if (this.#awake !== generator) await this.#awake?.rest();
    this.#awake = generator;
    let done = 0;
    const [answers = []] = await generator.generate([candidate], {
      signal,
      onAnswer: () => {
        done += 1;
        onAnswer?.(done);
      },
    });
    this.#count(answers);
    return answers.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const generator of this.#generators) await generator.dispose();
  }

  #count(answers: readonly Answer[]): void {
    this.#answers += answers.length;
    this.#cut += answers.filter(({ finish }) => finish === "length").length;
  }
}

/** Null where every answer came to its own end. */
export function cutNotice({ cut, answers }: AnswerFacts, maxTokens: number): string | null {
  if (cut === 0) return null;
  return `${cut} of ${answers} answers did not end within ${maxTokens} tokens and were judged as far as they went; allow more (--answer-tokens), or give a text that ends them (--stop).`;
}
