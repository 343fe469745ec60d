import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { strengthsOf } from "../engine/candidate-strengths.js";
import type { Generator } from "../engine/generator.js";
import { CancelledError, InternalError } from "../errors.js";
import { factsOfBoth, factsSince, NOTHING_WRITTEN } from "../generation/facts.js";
import type { GenerationFacts, GeneratorOptions } from "../generation/types.js";
import type { NamedScales } from "../lora/candidate.js";
import type { AnswerStore, KeptAnswers } from "./answer-store.js";
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
 * only the samples that are being answered take up a model's context. What a candidate has written once, here or as a store
 * knows it, it does not write again.
 */
export class AnswerWriter implements AsyncDisposable {
  readonly #adapter: Adapter;
  readonly #generators: readonly Generator[];
  /** By batch and strengths. */
  readonly #written = new Map<string, readonly string[]>();
  #store: AnswerStore | null = null;
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
    this.#adapter = adapter;
    this.#generators = batches.map((batch) =>
      adapter.openGenerator(
        batch.flatMap((sample) => prompts[sample] ?? []),
        options,
      ),
    );
  }

  get facts(): AnswerFacts {
    const all = this.#generators.map(({ facts }) => facts);
    return { answers: this.#answers, cut: this.#cut, ...all.reduce(factsOfBoth, NOTHING_WRITTEN) };
  }

  /** For before anything is written. */
  useStore(store: AnswerStore): void {
    this.#store = store;
  }

  /** Whether the answers of a candidate to a batch need not be written any more. */
  knows(candidate: NamedScales, batch: number): boolean {
    const strengths = strengthsOf(candidate, this.#adapter);
    return this.#written.has(keyOf(batch, strengths)) || this.#store?.answers(batch, strengths) !== undefined;
  }

  /**
   * @param batch index of the samples to answer
   * @returns one per sample of the batch, in its order; an answer may be empty
   * @throws MemoryError, BackendError, CancelledError
   */
  async write(candidate: NamedScales, batch: number, options: WriteOptions = {}): Promise<readonly string[]> {
    const generator = this.#generators[batch];
    if (generator === undefined) throw new InternalError("ANSWERS_SHAPE", `There is no batch ${batch} of samples.`);
    if (options.signal?.aborted === true) throw new CancelledError();
    const strengths = strengthsOf(candidate, this.#adapter);
    const key = keyOf(batch, strengths);
    const before = this.#written.get(key);
    if (before !== undefined) return before;
    const kept = this.#store?.answers(batch, strengths);
    const written = kept ?? (await this.#write(generator, candidate, options));
    if (kept === undefined) await this.#store?.storeAnswers(batch, strengths, written);
    else await generator.recall(kept);
    const texts = written.answers.map(({ text }) => text);
    this.#written.set(key, texts);
    this.#answers += texts.length;
    this.#cut += written.answers.filter(({ finish }) => finish === "length").length;
    return texts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const generator of this.#generators) await generator.dispose();
  }

  async #write(generator: Generator, candidate: NamedScales, { signal, onAnswer }: WriteOptions): Promise<KeptAnswers> {
    if (this.#awake !== generator) await this.#awake?.rest();
    this.#awake = generator;
    const before = generator.facts;
    let done = 0;
    const [answers = []] = await generator.generate([candidate], {
      signal,
      onAnswer: () => {
        done += 1;
        onAnswer?.(done);
      },
    });
    return { answers, facts: factsSince(before, generator.facts) };
  }
}

function keyOf(batch: number, strengths: Float32Array): string {
  return `${batch} ${strengths.join()}`;
}

/** Null where every answer came to its own end. */
export function cutNotice({ cut, answers }: AnswerFacts, maxTokens: number): string | null {
  if (cut === 0) return null;
  return `${cut} of ${answers} answers did not end within ${maxTokens} tokens and were judged as far as they went; allow more (--answer-tokens), or give a text that ends them (--stop).`;
}
