import { scoredCount, type Sample } from "../data/sample.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { NativeAdapter, NativeMemory, NativeModelFacts, NativeShape } from "../native/types.js";
import { defaultThreads } from "./backend.js";
import { BatchRunner, type NativeHandles, type Run } from "./batch-runner.js";
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
import type { ScoreStore, SelfCheck } from "./score-store.js";
import { requireFinite, requireObjective, requireRange, requireSamples } from "./session-checks.js";
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
  readonly fusedLora: boolean;
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
  #store: ScoreStore | null = null;
  #layerTokens = 0;
  #check: SelfCheck | null = null;
  #naiveTokens = 0;
  #computedPasses = 0;
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

  /** Before the first score: takes what `store` knows of a session with the same inputs, and tells it what is found. */
  useStore(store: ScoreStore): void {
    this.#store = store;
    if (store.check === null) return;
    this.#scorer.restore(store.check);
    this.#check = store.check;
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

  /** Seconds that a pass has taken so far, writing to a store included; null before anything was computed here. */
  get secondsPerPass(): number | null {
    return this.#computedPasses > 0 ? this.#seconds / this.#computedPasses : null;
  }

  /** What the self-check has found; null before it, and where nothing had to be resumed. */
  get check(): SelfCheck | null {
    return this.#check;
  }

  /** Tokens of each batch, as computed. */
  get batchLengths(): readonly number[] {
    return this.#packed.batchLengths;
  }

  get facts(): SessionFacts {
    const { nativeSeconds, copySeconds } = this.#runner;
    const { replay, noiseFloor, borders } = this.#scorer;
    const loss = this.#runner.loss ?? this.#check?.loss ?? null;
    const notices = [...new Set([...this.#runner.notices, ...this.#scorer.notices])];
    const passes = (this.#layerTokens + (this.#check?.layerTokens ?? 0)) / (this.#source.model.layers * this.tokens);
    const done = { passes, naivePasses: this.#naiveTokens / this.tokens, seconds: this.#seconds };
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

  /** Passes that are left to compute of {@link cost}, self-check apart: less where a store knows some of the scores. */
  passesLeft(
    candidates: readonly Candidate[],
    { objective = "nll", batches = this.#allBatches() }: CostOptions = {},
  ): number {
    return this.#passesOf(this.#vectorsOf(candidates).vectors, batches, objective, false);
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
    const { model } = this.#source;
    const { path, placement } = model;
    const place = nativePlacement(placement);
    const shape = this.#shape;
    this.#simulated ??= await nativeJob(
      addon,
      (control) => addon.simulateMemory({ ...shape, ...place, path, control }),
      { signal },
    );
    const estimate = estimateMemory(shape, model.facts, this.#source, this.#simulated, this.cost(candidates).states);
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
        const whole = { adapter: written, strengths: Float32Array.of(1) };
        return await this.#largestDifference({ adapter: exact, strengths }, whole, signal);
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
      const changed = strengths.map((strength) => strength * (1 + Math.max(relative, 2 ** -22)));
      return await this.#largestDifference({ strengths }, { strengths: changed }, signal);
    });
  }

  /**
   * Reads every layer's output through the model's own output norm and head. It costs one pass and a head per layer.
   *
   * @returns null where layers are recurrent, and where there is no border between the last layer and the output norm
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
    const { samples, scored } = this.#packed;
    const { layers } = this.#source.model;
    const scores = candidates.map(() => new Float64Array(samples.length).fill(NaN));
    const work = { candidates, vectors, vectorOf, objective, plain, signal };
    const total = this.#passesOf(vectors, batches, objective, plain);
    let done = 0;
    for (const index of batches) {
      const batch = this.batches[index] ?? [];
      const share = this.#packed.shareOf([index]);
      const sums = await this.#scoreBatch(index, work, (computed) => {
        const passes = (computed * share) / layers;
        this.#computedPasses += passes;
        done += passes;
        // Plain runs after a failed self-check make the total larger than planned.
        onProgress?.({ done, total: Math.max(total, done) });
      });
      for (const [position, sample] of batch.entries()) {
        for (const [candidate, column] of scores.entries()) {
          column[sample] = (sums[vectorOf[candidate] ?? 0]?.[position] ?? NaN) / (scored[sample] ?? 0);
        }
      }
      const computed = this.#scorer.layersOf(vectors, plain) + referencePasses(objective) * layers;
      this.#layerTokens += computed * (this.#packed.batchLengths[index] ?? 0);
      onBatch?.(batch, scores);
    }
    this.#naiveTokens += candidates.length * this.#packed.sampleTokensOf(batches);
    return scores;
  }

  /**
   * Sums of all vectors on one batch: those that the store knows, and the others computed and stored one by one. Before the
   * self-check has spoken nothing is stored, because its first word may be that these sums are wrong.
   */
  async #scoreBatch(
    index: number,
    { candidates, vectors, vectorOf, objective, plain, signal }: BatchWork,
    onRun: (layers: number) => void,
  ): Promise<readonly Float64Array[]> {
    const sums = vectors.map((vector) => (plain ? undefined : this.#store?.sums(index, vector)));
    const missing = vectors.flatMap((strengths, vector) => (sums[vector] === undefined ? [{ strengths, vector }] : []));
    if (missing.length > 0) {
      const samples = this.#packed.samplesOf(this.batches[index] ?? []);
      const trusted = this.#scorer.replay !== null;
      const store = async (position: number, computed: Float64Array) => {
        if (plain || this.#store === null) return;
        await this.#store.store(index, missing[position]?.strengths ?? new Float32Array(), computed);
      };
      await this.#open(candidates, signal, objective);
      this.#runner.setBatch(samples);
      const computed = await this.#scorer.score(
        missing.map(({ strengths }) => strengths),
        {
          ...{ objective, signal, plain, onRun, rows: samples.map(scoredCount) },
          onSums: async (position, result) => {
            requireFinite(result, candidates[vectorOf.indexOf(missing[position]?.vector ?? 0)], samples);
            if (trusted) await store(position, result);
          },
        },
      );
      await this.#keepCheck(index);
      for (const [position, result] of computed.entries()) {
        sums[missing[position]?.vector ?? 0] = result;
        if (!trusted) await store(position, result);
      }
    }
    return sums.map((result) => result ?? new Float64Array());
  }

  /** Once, after the batch that the self-check ran on. */
  async #keepCheck(index: number): Promise<void> {
    const { replay, noiseFloor, usable, checkRuns } = this.#scorer;
    const { loss, notices } = this.facts;
    if (this.#check !== null || replay === null) return;
    const layerTokens = checkRuns * this.#source.model.layers * (this.#packed.batchLengths[index] ?? 0);
    this.#check = { replay, loss: loss ?? "host", noiseFloor, notices, usable, layerTokens };
    await this.#store?.storeCheck(this.#check);
  }

  /** Of any logit of the first batch's scored tokens, between two runs. */
  async #largestDifference(first: Run, second: Run, signal: AbortSignal | undefined): Promise<number> {
    await this.#open([], signal);
    this.#runner.setBatch(this.#packed.samplesOf(this.batches[0] ?? []));
    await this.#runner.run({ ...first, logits: "keep" }, signal);
    return (await this.#runner.run({ ...second, logits: "compare" }, signal)).maxDifference;
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

  /** Passes that are still to be computed, assuming that every layer border can be resumed at. */
  #passesOf(
    vectors: readonly Float32Array[],
    batches: readonly number[],
    objective: ScoreObjective,
    plain: boolean,
  ): number {
    const { partsPerLayer, model } = this.#source;
    const { layers } = model;
    return batches.reduce((sum, batch) => {
      const missing = plain ? vectors : vectors.filter((vector) => this.#store?.sums(batch, vector) === undefined);
      const computed = plain ? missing.length * layers : planRuns(missing, { partsPerLayer }).layersComputed;
      const reference = missing.length === 0 ? 0 : referencePasses(objective);
      return sum + (reference + computed / layers) * this.#packed.shareOf([batch]);
    }, 0);
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

/** One call of `score`, as every batch of it sees it. */
interface BatchWork {
  readonly candidates: readonly Candidate[];
  /** Distinct, see `strengthsOf`. */
  readonly vectors: readonly Float32Array[];
  /** Of each candidate. */
  readonly vectorOf: readonly number[];
  readonly objective: ScoreObjective;
  readonly plain: boolean;
  readonly signal: AbortSignal | undefined;
}
