import type { Sample } from "../data/sample.js";
import { BackendError, UsageError } from "../errors.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { NativeAdapter, NativeMemory, NativeModelFacts, NativeShape } from "../native/types.js";
import { defaultThreads } from "./backend.js";
import { BatchRunner, type NativeHandles } from "./batch-runner.js";
import { BatchScorer, selfChecks } from "./batch-scorer.js";
import { strengthsOf } from "./candidate-strengths.js";
import { contextChoice, type ContextChoice } from "./context-options.js";
import { nativePlacement, type Placement } from "./devices.js";
import { Owned } from "./lifetime.js";
import { estimateMemory, requireMemory, type MemoryEstimate } from "./memory-estimate.js";
import { LensCollector, type LensScores } from "./lens-scores.js";
import { nativeJob } from "./native-job.js";
import type { Batch } from "./pack-batches.js";
import { PackedSamples } from "./packed-samples.js";
import { stateBytesOverRpc } from "./rpc-traffic.js";
import { planRuns } from "./scale-trie.js";
import type {
  ScoreCost,
  ScoreObjective,
  ScoreSessionOptions,
  SessionFacts,
  SessionScoreOptions,
} from "./session-types.js";

export interface CostOptions {
  readonly objective?: ScoreObjective | undefined;
  /** Default: all. */
  readonly batches?: readonly number[] | undefined;
}

/** What a session needs of the adapter that it scores. */
export interface SessionSource {
  readonly file: AdapterFile;
  readonly partsPerLayer: 1 | 2;
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
  /** Of the packing. */
  readonly seed: number;
  protected readonly label = "scoring session";
  readonly #source: SessionSource;
  readonly #handles: NativeHandles;
  readonly #packed: PackedSamples;
  readonly #shape: NativeShape;
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
    options: ScoreSessionOptions,
  ) {
    const { batchTokens = 512, threads = defaultThreads(), seed = 0, blocks } = options;
    requireRange("batchTokens", batchTokens, 2, 2 ** 24);
    requireRange("threads", threads, 1, 512);
    requireSamples(samples);
    const choice = contextChoice(options, owner.model.placement, owner.model.layers);
    super(owner);
    this.threads = threads;
    this.seed = seed;
    this.#source = owner;
    this.#handles = handles;
    const { isRecurrent, isHybrid } = owner.model.facts;
    // A recurrent state belongs to one sequence, so what sequences share cannot be computed once for all.
    const shares = (options.sharePrefixes ?? true) && !isRecurrent && !isHybrid;
    this.#packed = new PackedSamples(samples, { batchTokens, seed, blocks, shares });
    this.#shape = { ...this.#packed.shape(), threads, ...choice };
    this.#runner = new BatchRunner(handles, this.#shape, shares);
    this.#scorer = new BatchScorer(
      this.#runner,
      owner.model.layers,
      owner.partsPerLayer,
      owner.model.placement.backend === "CPU",
    );
  }

  /** What llama.cpp was asked for; part of what makes scores comparable. */
  get context(): ContextChoice {
    const { lossInGraph, flashAttention, keyType, valueType } = this.#shape;
    return { lossInGraph, flashAttention, keyType, valueType };
  }

  get batches(): readonly Batch[] {
    return this.#packed.batches;
  }

  get batchTokens(): number {
    return this.#packed.batchTokens;
  }

  /** Whether prompts that begin alike are computed once per batch. */
  get sharesPrefixes(): boolean {
    return this.#packed.shares;
  }

  /** Share of `tokens` that a plain run computes: below 1 where samples share prefixes. */
  get computedShare(): number {
    return this.#packed.shareOf(this.#allBatches());
  }

  /** Tokens of all samples together, without sharing. */
  get tokens(): number {
    return this.#packed.tokens;
  }

  get facts(): SessionFacts {
    const { nativeSeconds, copySeconds, loss } = this.#runner;
    const { replay, noiseFloor, borders } = this.#scorer;
    const notices = [...this.#runner.notices, ...this.#scorer.notices];
    const done = { passes: this.#passes, naivePasses: this.#naivePasses, seconds: this.#seconds };
    return { ...done, nativeSeconds, copySeconds, replay, loss, noiseFloor, borders, notices };
  }

  /** Share of all tokens that lie in these batches. */
  shareOf(batches: readonly number[]): number {
    return this.#packed.shareOf(batches);
  }

  /** The cost of scoring `candidates`, by default on all batches, assuming that every layer border can be resumed at. */
  cost(
    candidates: readonly Candidate[],
    { objective = "nll", batches = this.#allBatches() }: CostOptions = {},
  ): ScoreCost {
    const plan = planRuns(this.#vectorsOf(candidates).vectors, { partsPerLayer: this.#source.partsPerLayer });
    const { layers, facts, placement } = this.#source.model;
    const share = this.#packed.shareOf(batches);
    return {
      passes: (referencePasses(objective) + plan.layersComputed / layers) * share,
      checkPasses: selfChecks(plan).length * this.#packed.shareOf([0]),
      naivePasses: candidates.length * this.#packed.sampleShareOf(batches),
      states: plan.mostStates,
      rpcStateBytes: stateBytesOverRpc(plan, placement, { layers, embedding: facts.embedding }, this.tokens),
    };
  }

  /**
   * Memory beyond model and adapter while scoring `candidates`.
   *
   * @throws BackendError, CancelledError
   */
  async estimateMemory(
    candidates: readonly Candidate[],
    signal?: AbortSignal,
    objective: ScoreObjective = "nll",
  ): Promise<MemoryEstimate> {
    const { addon } = this.#handles;
    const { model, file } = this.#source;
    const { path, placement } = model;
    const place = nativePlacement(placement);
    const shape = this.#shape;
    this.#simulated ??= await nativeJob(
      addon,
      (control) => addon.simulateMemory({ ...shape, ...place, path, control }),
      { signal },
    );
    const estimate = estimateMemory(shape, model.facts, file, this.#simulated, this.cost(candidates).states);
    // Those of the full adapter stay beside each candidate's.
    return objective === "kl" ? { ...estimate, logits: 2 * estimate.logits } : estimate;
  }

  /**
   * @returns per candidate, in their order: mean NLL per scored token of every sample, nats; with another objective that; NaN
   *   where its batch was not asked for
   * @throws MemoryError before anything is allocated; CancelledError
   * @throws BackendError, of which SCORE_NOT_FINITE names the candidate and its sample; nothing more is run then
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

  /** Seconds that one full-adapter pass over all samples takes, measured on the last batch. */
  probe(signal?: AbortSignal): Promise<number> {
    return this.enqueue(async () => {
      const batch = this.batches.at(-1) ?? [];
      const strengths = new Float32Array(this.#source.model.layers * this.#source.partsPerLayer + 2).fill(1);
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
   * Largest difference that a relative change of every strength makes to the logits of a candidate, over the scored tokens
   * of the first batch: how far rounding alone may move them.
   */
  sensitivity(candidate: NamedScales, relative: number, signal?: AbortSignal): Promise<number> {
    return this.enqueue(async () => {
      const strengths = strengthsOf(candidate, this.#source);
      await this.#open([], signal);
      this.#runner.setBatch(this.#packed.samplesOf(this.batches[0] ?? []));
      await this.#runner.run({ strengths, logits: "keep" }, signal);
      const changed = strengths.map((strength) => strength * (1 + Math.max(relative, 2 ** -22)));
      return (await this.#runner.run({ strengths: changed, logits: "compare" }, signal)).maxDifference;
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
    {
      objective = "nll",
      signal,
      batches = this.#allBatches(),
      onProgress,
      plain = false,
      onBatch,
    }: SessionScoreOptions,
  ): Promise<readonly Float64Array[]> {
    requireObjective(objective);
    const { vectors, vectorOf } = this.#vectorsOf(candidates);
    if (vectors.length === 0) return [];
    await this.#open(candidates, signal, objective);
    const { samples, scored } = this.#packed;
    const scores = candidates.map(() => new Float64Array(samples.length).fill(NaN));
    const total = plain
      ? (referencePasses(objective) + vectors.length) * this.#packed.shareOf(batches)
      : this.cost(candidates, { objective, batches }).passes;
    let done = 0;
    for (const index of batches) {
      const batch = this.batches[index] ?? [];
      const samplesOfBatch = this.#packed.samplesOf(batch);
      this.#runner.setBatch(samplesOfBatch);
      const share = this.#packed.shareOf([index]);
      const onRun = (layers: number) => {
        const passes = (layers * share) / this.#source.model.layers;
        this.#passes += passes;
        done += passes;
        // Plain runs after a failed self-check make the total larger than planned.
        onProgress?.({ done, total: Math.max(total, done) });
      };
      const sums = await this.#scorer.score(vectors, {
        objective,
        signal,
        plain,
        onRun,
        rows: batch.map((sample) => scored[sample] ?? 1),
        check: (vector, result) => {
          requireFinite(result, candidates[vectorOf.indexOf(vector)], samplesOfBatch);
        },
      });
      for (const [position, sample] of batch.entries()) {
        for (const [index, column] of scores.entries()) {
          column[sample] = (sums[vectorOf[index] ?? 0]?.[position] ?? NaN) / (scored[sample] ?? 0);
        }
      }
      onBatch?.(batch, scores);
    }
    this.#naivePasses += candidates.length * this.#packed.sampleShareOf(batches);
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

  #allBatches(): readonly number[] {
    return this.batches.map((_, index) => index);
  }

  async #open(
    candidates: readonly Candidate[],
    signal: AbortSignal | undefined,
    objective?: ScoreObjective,
  ): Promise<void> {
    if (this.#runner.isOpen) return;
    requireMemory(await this.estimateMemory(candidates, signal, objective), this.batchTokens);
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

/** A divergence is measured from the full adapter, which runs once more for it. */
function referencePasses(objective: ScoreObjective): number {
  return objective === "kl" ? 1 : 0;
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

/** Logits that overflow make every later number meaningless, so they are found where they arise. */
function requireFinite(sums: Float64Array, candidate: Candidate | undefined, samples: readonly Sample[]): void {
  const position = sums.findIndex((sum) => !Number.isFinite(sum));
  if (position < 0) return;
  const id = candidate?.id ?? "";
  const line = samples[position]?.line ?? 0;
  throw new BackendError(
    "SCORE_NOT_FINITE",
    `Expected a finite score but received ${sums[position] ?? NaN} for candidate \`${id}\` on the sample of line ${line}: the model, the adapter at this strength or the backend computes numbers that overflow. Try another backend or quantisation, or leave this candidate or sample out.`,
    { details: { candidate: id, line } },
  );
}

function requireObjective(objective: string): void {
  if (objective === "nll" || objective === "kl") return;
  throw new UsageError("OBJECTIVE_RANGE", `Expected \`nll\` or \`kl\` for \`objective\` but received ${objective}.`, {
    details: { option: "objective", received: objective },
  });
}

function requireRange(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  const code = option === "threads" ? "THREADS_RANGE" : "BATCH_TOKENS_RANGE";
  throw new UsageError(code, `Expected an integer from ${low} to ${high} for \`${option}\` but received ${value}.`, {
    details: { option, received: value },
  });
}
