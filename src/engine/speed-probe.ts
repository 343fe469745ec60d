import type { NativeAdapter, NativeAddon, NativeGenerator, NativeModel } from "../native/types.js";
import { defaultThreads } from "./backend.js";
import { Owned } from "./lifetime.js";
import { nativeJob } from "./native-job.js";

export interface SpeedProbeOptions {
  /** Sequences that grow side by side, at most 256. */
  readonly sequences: number;
  /** Tokens of each sequence's prompt, and of what is written behind it. */
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly threads?: number | undefined;
}

/** Wall time of native work, seconds. */
export interface SpeedRun {
  /** All prompts, in one batch. */
  readonly prompt: number;
  /** All steps of one token per sequence together. */
  readonly decode: number;
}

/** An adapter as llama.cpp's own programs load it, or none. */
export interface LoadedWhole {
  readonly native: NativeAdapter | null;
  readonly seconds: number;
}

/** Times prompts and single-token steps of one context under whole adapters. Made by `Model.openSpeedProbe`. */
export class SpeedProbe extends Owned {
  readonly threads: number;
  protected readonly label = "speed probe";
  readonly #addon: NativeAddon;
  readonly #model: NativeModel;
  readonly #options: SpeedProbeOptions;
  #generator: NativeGenerator | null = null;

  /** @internal */
  constructor(
    owner: Owned,
    handles: { readonly addon: NativeAddon; readonly model: NativeModel },
    options: SpeedProbeOptions,
  ) {
    super(owner);
    this.threads = options.threads ?? defaultThreads();
    this.#addon = handles.addon;
    this.#model = handles.model;
    this.#options = options;
  }

  /** The caller disposes of it. @throws BackendError ADAPTER_LOAD */
  async load(path: string | null): Promise<LoadedWhole> {
    if (path === null) return { native: null, seconds: 0 };
    const start = performance.now();
    const native = await nativeJob(this.#addon, () => this.#addon.loadWholeAdapter({ model: this.#model, path }), {});
    return { native, seconds: (performance.now() - start) / 1000 };
  }

  /**
   * @param tokens any tokens of the vocabulary; what they say does not change how long they take
   * @throws MemoryError, BackendError, CancelledError
   */
  run(adapter: NativeAdapter | null, tokens: Int32Array, signal?: AbortSignal): Promise<SpeedRun> {
    return this.enqueue(async () => {
      const { decodeTokens } = this.#options;
      const generator = await this.#open(signal);
      generator.setStrengths({ adapter, strengths: Float32Array.of(1) });
      // Between two adapters llama.cpp plans its memory anew, which is no part of a prompt's time.
      await this.#round(generator, tokens, 1, signal);
      return await this.#round(generator, tokens, decodeTokens, signal);
    });
  }

  protected override release(): void {
    this.#generator?.dispose();
    this.#generator = null;
  }

  async #round(
    generator: NativeGenerator,
    tokens: Int32Array,
    steps: number,
    signal: AbortSignal | undefined,
  ): Promise<SpeedRun> {
    const { sequences, promptTokens } = this.#options;
    for (let slot = 0; slot < sequences; slot++) generator.start({ slot, temperature: 0, topP: 1, seed: 0 });
    const prompt = await this.#step(generator, tokens, promptTokens, signal);
    let decode = 0;
    for (let step = 0; step < steps; step++) {
      decode += await this.#step(generator, tokens.subarray(step % tokens.length), 1, signal);
    }
    return { prompt, decode };
  }

  async #open(signal: AbortSignal | undefined): Promise<NativeGenerator> {
    const { sequences, promptTokens, decodeTokens } = this.#options;
    const shape = {
      contextTokens: sequences * (promptTokens + decodeTokens),
      maxSequences: sequences,
      batchTokens: sequences * promptTokens,
      maxRows: sequences,
      threads: this.threads,
      fusedLora: false,
      resumes: false,
      ownSums: false,
    };
    this.#generator ??= await nativeJob(
      this.#addon,
      () => this.#addon.createGenerator({ ...shape, model: this.#model }),
      { signal },
    );
    return this.#generator;
  }

  /** Appends so many tokens to every sequence, whose next token is chosen. @returns seconds */
  async #step(
    generator: NativeGenerator,
    tokens: Int32Array,
    count: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { sequences } = this.#options;
    const each = Array.from({ length: sequences }, (_, slot) => slot);
    const step = {
      slots: Int32Array.from(each),
      offsets: Int32Array.from([...each, sequences], (slot) => slot * count),
      tokens: Int32Array.from({ length: sequences * count }, (_, at) => tokens[at % tokens.length] ?? 0),
      drafts: new Int32Array(sequences),
    };
    return (await nativeJob(this.#addon, (control) => generator.step({ ...step, control }), { signal })).seconds;
  }
}
