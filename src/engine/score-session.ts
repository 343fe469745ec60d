import type { Sample } from "../data/sample.js";
import { UsageError } from "../errors.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { NativeAdapter, NativeMemory, NativeModelFacts } from "../native/types.js";
import { defaultThreads } from "./backend.js";
import { BatchRunner, type NativeHandles } from "./batch-runner.js";
import { BatchScorer, selfChecks } from "./batch-scorer.js";
import { strengthsOf } from "./candidate-strengths.js";
import type { Placement } from "./devices.js";
import { Owned } from "./lifetime.js";
import { estimateMemory, requireMemory, type MemoryEstimate } from "./memory-estimate.js";
import { LensCollector, type LensScores } from "./lens-scores.js";
import { nativeJob } from "./native-job.js";
import type { Batch } from "./pack-batches.js";
import { PackedSamples } from "./packed-samples.js";
import { planRuns } from "./scale-trie.js";
import type { ScoreCost, ScoreSessionOptions, SessionFacts, SessionScoreOptions } from "./session-types.js";

/** What a session needs of the adapter that it scores. */
export interface SessionSource {
  readonly file: AdapterFile;
  readonly model: {
    readonly path: string;
    readonly layers: number;
    readonly facts: NativeModelFacts;
    readonly placement: Placement;
  };
  /** The adapter as its file has it, bit for bit, for comparing with files. */
  exactCopy(signal?: AbortSignal): Promise<NativeAdapter>;
}

/**
 * Scores candidates on one set of samples in one packing. Everything compared must come from one session: two packings
 * differ in their last digits. One job runs at a time. Made by `Adapter.openSession`.
 */
export class ScoreSession extends Owned {
  readonly threads: number;
  protected readonly label = "scoring session";
  readonly #source: SessionSource;
  readonly #handles: NativeHandles;
  readonly #packed: PackedSamples;
  readonly #runner: BatchRunner;
  readonly #scorer: BatchScorer;
  #simulated: NativeMemory | null = null;
  #passes = 0;
  #naivePasses = 0;
  #seconds = 0;

  /** @internal */
  constructor(
    owner: Owned & SessionSource,
    handles: NativeHandles,
    samples: readonly Sample[],
    { batchTokens = 512, threads = defaultThreads() }: ScoreSessionOptions,
  ) {
    requireRange("batchTokens", batchTokens, 2, 2 ** 24);
    requireRange("threads", threads, 1, 512);
    requireSamples(samples);
    super(owner);
    this.threads = threads;
    this.#source = owner;
    this.#handles = handles;
    this.#packed = new PackedSamples(samples, batchTokens);
    this.#runner = new BatchRunner(handles, this.#packed.shape(threads));
    this.#scorer = new BatchScorer(this.#runner, owner.model.layers, owner.model.placement.backend === "CPU");
  }

  get batches(): readonly Batch[] {
    return this.#packed.batches;
  }

  get batchTokens(): number {
    return this.#packed.batchTokens;
  }

  /** Tokens of all samples together that a plain run computes. */
  get tokens(): number {
    return this.#packed.tokens;
  }

  get facts(): SessionFacts {
    const { nativeSeconds, copySeconds } = this.#runner;
    const { replay, noiseFloor, borders, notices } = this.#scorer;
    const done = { passes: this.#passes, naivePasses: this.#naivePasses, seconds: this.#seconds };
    return { ...done, nativeSeconds, copySeconds, replay, noiseFloor, borders, notices };
  }

  /** The cost of scoring `candidates`, assuming that every layer border can be resumed at. */
  cost(candidates: readonly Candidate[]): ScoreCost {
    const plan = planRuns(this.#vectorsOf(candidates).vectors);
    return {
      passes: plan.layersComputed / this.#source.model.layers,
      checkPasses: (selfChecks(plan).length * this.#packed.tokensOf(this.batches[0] ?? [])) / this.tokens,
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
    const { model, file } = this.#source;
    const { path, placement } = model;
    const { gpuLayers, devices } = placement;
    const shape = this.#packed.shape(this.threads);
    this.#simulated ??= await nativeJob(
      addon,
      (control) => addon.simulateMemory({ ...shape, path, gpuLayers, devices, control }),
      { signal },
    );
    return estimateMemory(shape, model.facts, file, this.#simulated, this.cost(candidates).states);
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
      const strengths = new Float32Array(this.#source.model.layers + 2).fill(1);
      await this.#open([], signal);
      this.#runner.setBatch(this.#packed.samplesOf(batch));
      // The first run reads the weights from the disk.
      await this.#runner.run({ strengths }, signal);
      const { seconds } = await this.#runner.run({ strengths }, signal);
      return (seconds * this.tokens) / this.#packed.tokensOf(batch);
    });
  }

  /**
   * Largest difference between the logits of a candidate here and of an adapter file loaded as llama.cpp's own programs
   * load it, over the scored tokens of the first batch. Both are computed with the ranks that the files have.
   *
   * @throws BackendError ADAPTER_LOAD where llama.cpp refuses the file
   */
  compareWithFile(candidate: NamedScales, path: string, signal?: AbortSignal): Promise<number> {
    return this.enqueue(async () => {
      const { addon, model } = this.#handles;
      const strengths = strengthsOf(candidate, this.#source);
      const written = await nativeJob(addon, () => addon.loadWholeAdapter({ model, path }), { signal });
      let exact: NativeAdapter | null = null;
      try {
        exact = await this.#source.exactCopy(signal);
        await this.#open([], signal);
        this.#runner.setBatch(this.#packed.samplesOf(this.batches[0] ?? []));
        await this.#runner.run({ adapter: exact, strengths, logits: "keep" }, signal);
        const whole = { adapter: written, strengths: Float32Array.of(1), logits: "compare" } as const;
        return (await this.#runner.run(whole, signal)).maxDifference;
      } finally {
        written.dispose();
        exact?.dispose();
      }
    });
  }

  /**
   * Reads every layer's output through the model's own output norm and head. It costs one pass and a head per layer.
   *
   * @returns null where the architecture has no border between its last layer and the output norm
   * @throws MemoryError before anything is allocated; BackendError; CancelledError
   */
  lens(
    candidate: NamedScales,
    { signal, onProgress }: Pick<SessionScoreOptions, "signal" | "onProgress"> = {},
  ): Promise<LensScores | null> {
    return this.enqueue(async () => {
      const { isRecurrent, isHybrid } = this.#source.model.facts;
      // They may take the tokens of a batch in another order.
      if (isRecurrent || isHybrid) return null;
      const strengths = strengthsOf(candidate, this.#source);
      await this.#open(this.#everyBorder(), signal);
      const collector = new LensCollector(this.#packed.scored);
      for (const [done, batch] of this.batches.entries()) {
        this.#runner.setBatch(this.#packed.samplesOf(batch));
        if (!collector.add(batch, await this.#runner.lens(strengths, signal))) return null;
        onProgress?.({ done: done + 1, total: this.batches.length });
      }
      return collector.scores;
    });
  }

  protected override release(): void {
    this.#runner.close();
  }

  async #scoreAll(
    candidates: readonly Candidate[],
    { signal, onProgress, plain = false, onBatch }: SessionScoreOptions,
  ): Promise<readonly Float64Array[]> {
    const { vectors, vectorOf } = this.#vectorsOf(candidates);
    if (vectors.length === 0) return [];
    await this.#open(candidates, signal);
    const { samples, scored } = this.#packed;
    const scores = candidates.map(() => new Float64Array(samples.length));
    const total = plain ? vectors.length : this.cost(candidates).passes;
    let done = 0;
    for (const batch of this.batches) {
      this.#runner.setBatch(this.#packed.samplesOf(batch));
      const share = this.#packed.tokensOf(batch) / this.tokens;
      const onRun = (layers: number) => {
        const passes = (layers * share) / this.#source.model.layers;
        this.#passes += passes;
        done += passes;
        // Plain runs after a failed self-check make the total larger than planned.
        onProgress?.({ done, total: Math.max(total, done) });
      };
      const sums = await this.#scorer.score(vectors, {
        signal,
        plain,
        onRun,
        rows: batch.map((sample) => scored[sample] ?? 1),
      });
      for (const [position, sample] of batch.entries()) {
        for (const [index, column] of scores.entries()) {
          column[sample] = (sums[vectorOf[index] ?? 0]?.[position] ?? NaN) / (scored[sample] ?? 0);
        }
      }
      onBatch?.(batch, scores);
    }
    this.#naivePasses += candidates.length;
    return scores;
  }

  /** Candidates that need a state at every border, as the lens does: for the estimate of memory. */
  #everyBorder(): readonly Candidate[] {
    const { layers } = this.#source.model;
    return Array.from({ length: layers + 1 }, (_, boundary) => ({
      id: `upto:${boundary}`,
      family: "boundary",
      layerScales: Array.from({ length: layers }, (_, layer) => (layer < boundary ? 1 : 0)),
      inputScale: 1,
      outputScale: 0,
    }));
  }

  async #open(candidates: readonly Candidate[], signal: AbortSignal | undefined): Promise<void> {
    if (this.#runner.isOpen) return;
    requireMemory(await this.estimateMemory(candidates, signal), this.batchTokens);
    await this.#runner.open(signal);
  }

  /** Equal candidates are computed once. */
  #vectorsOf(candidates: readonly Candidate[]): {
    readonly vectors: readonly Float32Array[];
    readonly vectorOf: readonly number[];
  } {
    const vectors: Float32Array[] = [];
    const known = new Map<string, number>();
    const vectorOf = candidates.map((candidate) => {
      const vector = strengthsOf(candidate, this.#source);
      const key = vector.join();
      const index = known.get(key) ?? vectors.push(vector) - 1;
      known.set(key, index);
      return index;
    });
    return { vectors, vectorOf };
  }
}

/** `readSamples` makes only such; samples made by hand are checked here. */
function requireSamples(samples: readonly Sample[]): void {
  if (samples.length === 0) {
    throw new UsageError("SAMPLES_EMPTY", "Expected at least one sample for `samples` but received none.");
  }
  for (const [index, { tokens, scored }] of samples.entries()) {
    if (tokens.length === scored.length && scored[0] === 0 && scored.includes(1)) continue;
    throw new UsageError(
      "SAMPLE_SHAPE",
      `Expected \`tokens\` and \`scored\` of one length, with a scored token that is not the first, but sample ${index} has ${tokens.length} tokens and ${scored.length} marks, ${scored.filter((mark) => mark === 1).length} of them scored.`,
      { details: { sample: index } },
    );
  }
}

function requireRange(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  const code = option === "threads" ? "THREADS_RANGE" : "BATCH_TOKENS_RANGE";
  throw new UsageError(code, `Expected an integer from ${low} to ${high} for \`${option}\` but received ${value}.`, {
    details: { option, received: value },
  });
}
