import type { Sample } from "../data/sample.js";
import { BackendError, CancelledError, UsageError } from "../errors.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { NativeAdapter, NativeMemory, NativeScorer, NativeShape } from "../native/types.js";
import type { Adapter, NativeHandles } from "./adapter.js";
import { defaultThreads } from "./backend.js";
import { strengthsOf } from "./candidate-strengths.js";
import { Owned } from "./lifetime.js";
import { estimateMemory, requireMemory, type MemoryEstimate } from "./memory-estimate.js";
import { nativeJob } from "./native-job.js";
import { packBatches, type Batch } from "./pack-batches.js";
import { planRuns, type TriePlan } from "./scale-trie.js";

export interface ScoreSessionOptions {
  /** Tokens computed at once, default 512; a longer sample makes it as large as itself. */
  readonly batchTokens?: number | undefined;
  /** Default: the machine's, at most half of its hardware threads above four. */
  readonly threads?: number | undefined;
}

export interface ScoreProgress {
  /** Passes done and to do: layer-token evaluations / (L x tokens of all samples). */
  readonly done: number;
  readonly total: number;
}

export interface SessionScoreOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ScoreProgress) => void) | undefined;
  /** Compute every candidate from the tokens, as llama.cpp alone would: the reference of benches and tests. */
  readonly plain?: boolean | undefined;
  /** Called after each batch with the samples that are complete for all candidates. */
  readonly onBatch?: ((samples: Batch, scores: readonly Float64Array[]) => void) | undefined;
}

/** What scoring some candidates will cost; nothing has run. */
export interface ScoreCost {
  /** Layer-token evaluations / (L x tokens of all samples). */
  readonly passes: number;
  /** One per candidate. */
  readonly naivePasses: number;
  /** Most states kept at the same time. */
  readonly states: number;
}

/** What a session has done so far. */
export interface SessionFacts {
  readonly passes: number;
  readonly naivePasses: number;
  /** Wall time inside `score`, seconds. */
  readonly seconds: number;
  /** Of it inside native jobs. */
  readonly nativeSeconds: number;
  /** Of that copying states. */
  readonly copySeconds: number;
  /** `exact`: resumed and plain run gave the same bits. `plain`: they did not, so every run is plain. Null: nothing resumed yet. */
  readonly replay: "exact" | "plain" | null;
  readonly notices: readonly string[];
}

/**
 * Scores candidates on one set of samples in one packing. Everything compared must come from one session: two packings
 * differ in their last digits. One job runs at a time. Made by `Adapter.openSession`.
 */
export class ScoreSession extends Owned {
  readonly threads: number;
  readonly batchTokens: number;
  readonly batches: readonly Batch[];
  protected readonly label = "scoring session";
  readonly #adapter: Adapter;
  readonly #handles: NativeHandles & { readonly adapter: NativeAdapter };
  readonly #samples: readonly Sample[];
  readonly #shape: NativeShape;
  readonly #rows: Int32Array;
  readonly #totalTokens: number;
  #simulated: NativeMemory | null = null;
  #scorer: NativeScorer | null = null;
  #replay: SessionFacts["replay"] = null;
  #passes = 0;
  #naivePasses = 0;
  #seconds = 0;
  #nativeSeconds = 0;
  #copySeconds = 0;
  readonly #notices: string[] = [];

  /** @internal */
  constructor(
    adapter: Adapter,
    handles: NativeHandles & { readonly adapter: NativeAdapter },
    samples: readonly Sample[],
    { batchTokens = 512, threads = defaultThreads() }: ScoreSessionOptions,
  ) {
    super(adapter);
    requireRange("batchTokens", batchTokens, 2, 2 ** 24);
    requireRange("threads", threads, 1, 512);
    if (samples.length === 0) {
      throw new UsageError("SAMPLES_EMPTY", "Expected at least one sample for `samples` but received none.");
    }
    this.#adapter = adapter;
    this.#handles = handles;
    this.#samples = samples;
    this.threads = threads;
    // The last token predicts nothing and is not computed.
    const lengths = samples.map(({ tokens }) => tokens.length - 1);
    this.batchTokens = Math.max(batchTokens, ...lengths);
    this.batches = packBatches(lengths, this.batchTokens);
    this.#rows = Int32Array.from(samples, ({ scored }) => scored.reduce((sum, mark) => sum + mark, 0));
    this.#totalTokens = lengths.reduce((sum, length) => sum + length, 0);
    const largest = (size: (batch: Batch) => number) => Math.max(...this.batches.map(size));
    this.#shape = {
      maxTokens: largest((batch) => this.#tokensOf(batch)),
      maxSequences: largest((batch) => batch.length),
      maxRows: largest((batch) => batch.reduce((sum, sample) => sum + (this.#rows[sample] ?? 0), 0)),
      threads,
    };
  }

  /** Tokens of all samples together that a plain run computes. */
  get tokens(): number {
    return this.#totalTokens;
  }

  /** Share of all tokens in the first batch: what the self-check costs, in passes. */
  get shareOfFirstBatch(): number {
    return this.#tokensOf(this.batches[0] ?? []) / this.#totalTokens;
  }

  get facts(): SessionFacts {
    return {
      passes: this.#passes,
      naivePasses: this.#naivePasses,
      seconds: this.#seconds,
      nativeSeconds: this.#nativeSeconds,
      copySeconds: this.#copySeconds,
      replay: this.#replay,
      notices: this.#notices,
    };
  }

  /** The cost of scoring `candidates`, assuming that every layer border can be resumed at. */
  cost(candidates: readonly Candidate[]): ScoreCost {
    const { vectors } = this.#vectorsOf(candidates);
    const plan = planRuns(vectors);
    return {
      passes: plan.layersComputed / this.#adapter.model.layers,
      naivePasses: candidates.length,
      states: plan.mostStates,
    };
  }

  /**
   * Memory beyond model and adapter while scoring `candidates`.
   *
   * @throws BackendError, CancelledError
   */
  async estimateMemory(candidates: readonly Candidate[], signal?: AbortSignal): Promise<MemoryEstimate> {
    const { addon } = this.#handles;
    const { model, file } = this.#adapter;
    this.#simulated ??= await nativeJob(
      addon,
      (control) => addon.simulateMemory({ ...this.#shape, path: model.path, gpuLayers: model.gpuLayers, control }),
      { signal },
    );
    return estimateMemory(this.#shape, model.facts, file, this.#simulated, this.cost(candidates).states);
  }

  /**
   * @returns per candidate, in their order: mean NLL per scored token of every sample, nats
   * @throws MemoryError before anything is allocated; BackendError; CancelledError
   */
  score(candidates: readonly Candidate[], options: SessionScoreOptions = {}): Promise<readonly Float64Array[]> {
    return this.enqueue(async () => {
      const start = performance.now();
      try {
        return await this.#scoreAll(candidates, options);
      } finally {
        this.#seconds += (performance.now() - start) / 1000;
      }
    });
  }

  /** Seconds that one full-adapter pass over all samples takes, measured on the smallest batch. */
  probe(signal?: AbortSignal): Promise<number> {
    return this.enqueue(async () => {
      const batch = this.batches.at(-1) ?? [];
      const strengths = new Float32Array(this.#adapter.model.layers + 2).fill(1);
      await this.#openScorer([], signal);
      this.#setBatch(batch);
      // The first run reads the weights from the disk.
      await this.#run({ strengths }, signal);
      const { seconds } = await this.#run({ strengths }, signal);
      return (seconds * this.#totalTokens) / this.#tokensOf(batch);
    });
  }

  /**
   * Largest difference between the logits of a candidate here and of an adapter file loaded as llama.cpp's own programs
   * load it, over the scored tokens of the first batch.
   *
   * @throws BackendError ADAPTER_LOAD where llama.cpp refuses the file
   */
  compareWithFile(candidate: NamedScales, path: string, signal?: AbortSignal): Promise<number> {
    return this.enqueue(async () => {
      const { addon, model } = this.#handles;
      const written = await nativeJob(addon, () => addon.loadWholeAdapter({ model, path }), { signal });
      try {
        await this.#openScorer([], signal);
        this.#setBatch(this.batches[0] ?? []);
        const strengths = strengthsOf(candidate, this.#adapter);
        await this.#run({ strengths, logits: "keep" }, signal);
        const whole = { adapter: written, strengths: Float32Array.of(1), logits: "compare" } as const;
        return (await this.#run(whole, signal)).maxDifference;
      } finally {
        written.dispose();
      }
    });
  }

  protected override release(): void {
    this.#scorer?.dispose();
  }

  async #scoreAll(
    candidates: readonly Candidate[],
    { signal, onProgress, plain = false, onBatch }: SessionScoreOptions,
  ): Promise<readonly Float64Array[]> {
    const { vectors, vectorOf } = this.#vectorsOf(candidates);
    if (vectors.length === 0) return [];
    await this.#openScorer(candidates, signal);
    const scores = candidates.map(() => new Float64Array(this.#samples.length));
    const total = plain ? vectors.length : this.cost(candidates).passes;
    let done = 0;
    const advance = (layers: number, batch: Batch) => {
      const passes = (layers * this.#tokensOf(batch)) / (this.#adapter.model.layers * this.#totalTokens);
      this.#passes += passes;
      done += passes;
      // Plain runs after a failed self-check make the total larger than planned.
      onProgress?.({ done, total: Math.max(total, done) });
    };
    for (const batch of this.batches) {
      this.#setBatch(batch);
      const sums = await this.#scoreBatch(vectors, batch, plain, signal, advance);
      for (const [position, sample] of batch.entries()) {
        for (const [index, column] of scores.entries()) {
          column[sample] = (sums[vectorOf[index] ?? 0]?.[position] ?? NaN) / (this.#rows[sample] ?? 0);
        }
      }
      onBatch?.(batch, scores);
    }
    this.#naivePasses += candidates.length;
    return scores;
  }

  async #scoreBatch(
    vectors: readonly Float32Array[],
    batch: Batch,
    plain: boolean,
    signal: AbortSignal | undefined,
    advance: (layers: number, batch: Batch) => void,
  ): Promise<readonly Float64Array[]> {
    const { layers } = this.#adapter.model;
    if (!plain && this.#replay !== "plain") {
      try {
        const plan = planRuns(vectors, await this.#borders(vectors, signal));
        if (plan.mostStates === 0 && planRuns(vectors).mostStates > 0) {
          throw new BackendError(
            "REPLAY_FAILED",
            "its graph has no border between layers, or comes back to lower layers",
          );
        }
        const sums = await this.#follow(plan, vectors, batch, signal, advance);
        if (await this.#agrees(plan, vectors, sums, batch, signal, advance)) return sums;
        this.#fallBack("a resumed run and a plain run of the same candidate gave different scores");
      } catch (error) {
        if (!(error instanceof BackendError) || error.code !== "REPLAY_FAILED") throw error;
        this.#fallBack(error.message);
      }
    }
    const sums: Float64Array[] = [];
    for (const strengths of vectors) {
      sums.push((await this.#run({ strengths, plain: true }, signal)).sums);
      advance(layers, batch);
    }
    return sums;
  }

  async #follow(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    batch: Batch,
    signal: AbortSignal | undefined,
    advance: (layers: number, batch: Batch) => void,
  ): Promise<readonly Float64Array[]> {
    const sums: Float64Array[] = vectors.map(() => new Float64Array());
    for (const { vector, resumeAt, keepAt } of plan.runs) {
      const result = await this.#run(
        { strengths: vectors[vector] ?? new Float32Array(), resumeAt, keepAt: Int32Array.from(keepAt) },
        signal,
      );
      sums[vector] = result.sums;
      advance(this.#adapter.model.layers - resumeAt, batch);
    }
    return sums;
  }

  /**
   * The self-check: the resumed run nearest the middle of the model against a plain run, once per session. Same bits, or
   * nothing is resumed any more.
   */
  async #agrees(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    sums: readonly Float64Array[],
    batch: Batch,
    signal: AbortSignal | undefined,
    advance: (layers: number, batch: Batch) => void,
  ): Promise<boolean> {
    if (this.#replay !== null) return true;
    const { layers } = this.#adapter.model;
    const distance = (resumeAt: number) => Math.abs(resumeAt - layers / 2);
    const resumed = plan.runs.filter(({ resumeAt }) => resumeAt > 0);
    const [middle] = resumed.sort((a, b) => distance(a.resumeAt) - distance(b.resumeAt));
    if (middle === undefined) return true;
    const strengths = vectors[middle.vector] ?? new Float32Array();
    const { sums: expected } = await this.#run({ strengths, plain: true }, signal);
    advance(layers, batch);
    const same = expected.every((sum, sample) => Object.is(sum, sums[middle.vector]?.[sample]));
    if (same) this.#replay = "exact";
    return same;
  }

  #fallBack(reason: string): void {
    this.#replay = "plain";
    this.#notices.push(
      `Resuming between layers does not work for this model (${reason}), so every candidate is computed from the start: same scores, about twice the time.`,
    );
  }

  async #borders(vectors: readonly Float32Array[], signal: AbortSignal | undefined): Promise<Uint8Array> {
    const scorer = this.#requireScorer();
    const { addon, adapter } = this.#handles;
    const strengths = vectors[planRuns(vectors).runs[0]?.vector ?? 0] ?? new Float32Array();
    return await nativeJob(addon, (control) => scorer.borders({ adapter, strengths, control }), { signal });
  }

  async #run(
    run: {
      readonly strengths: Float32Array;
      readonly adapter?: NativeAdapter;
      readonly resumeAt?: number;
      readonly keepAt?: Int32Array;
      readonly plain?: boolean;
      readonly logits?: "keep" | "compare";
    },
    signal: AbortSignal | undefined,
  ) {
    const scorer = this.#requireScorer();
    const complete = {
      adapter: this.#handles.adapter,
      resumeAt: 0,
      keepAt: new Int32Array(),
      plain: false,
      logits: "none" as const,
      ...run,
    };
    const { addon } = this.#handles;
    const result = await nativeJob(addon, (control) => scorer.run({ ...complete, control }), { signal });
    this.#nativeSeconds += result.seconds;
    this.#copySeconds += result.copySeconds;
    return result;
  }

  async #openScorer(candidates: readonly Candidate[], signal: AbortSignal | undefined): Promise<void> {
    if (this.#scorer !== null) return;
    requireMemory(await this.estimateMemory(candidates, signal), this.batchTokens);
    const { addon, model } = this.#handles;
    this.#scorer = await nativeJob(addon, () => addon.createScorer({ ...this.#shape, model }), { signal });
  }

  #requireScorer(): NativeScorer {
    if (this.#scorer === null) throw new CancelledError("The scoring session was closed.");
    return this.#scorer;
  }

  #setBatch(batch: Batch): void {
    const samples = batch.map((index) => this.#samples[index]).filter((sample) => sample !== undefined);
    const offsets = new Int32Array(samples.length + 1);
    for (const [index, { tokens }] of samples.entries()) offsets[index + 1] = (offsets[index] ?? 0) + tokens.length;
    const tokens = new Int32Array(offsets.at(-1) ?? 0);
    const scored = new Uint8Array(tokens.length);
    for (const [index, sample] of samples.entries()) {
      tokens.set(sample.tokens, offsets[index]);
      scored.set(sample.scored, offsets[index]);
    }
    this.#requireScorer().setBatch({ tokens, offsets, scored });
  }

  /** Equal candidates are computed once. */
  #vectorsOf(candidates: readonly Candidate[]): {
    readonly vectors: readonly Float32Array[];
    readonly vectorOf: readonly number[];
  } {
    const vectors: Float32Array[] = [];
    const known = new Map<string, number>();
    const vectorOf = candidates.map((candidate) => {
      const vector = strengthsOf(candidate, this.#adapter);
      const key = vector.join();
      const index = known.get(key) ?? vectors.push(vector) - 1;
      known.set(key, index);
      return index;
    });
    return { vectors, vectorOf };
  }

  #tokensOf(batch: Batch): number {
    return batch.reduce((sum, sample) => sum + (this.#samples[sample]?.tokens.length ?? 1) - 1, 0);
  }
}

function requireRange(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  const code = option === "threads" ? "THREADS_RANGE" : "BATCH_TOKENS_RANGE";
  throw new UsageError(code, `Expected an integer from ${low} to ${high} for \`${option}\` but received ${value}.`, {
    details: { option, received: value },
  });
}
