import { BackendError } from "../errors.js";
import type { BatchRunner, Run } from "./batch-runner.js";
import { planRuns, type TriePlan, type TrieRun } from "./scale-trie.js";
import type { SelfCheck } from "./score-store.js";
import type { ReplayMode, ScoreObjective } from "./session-types.js";

export interface BatchScoreOptions {
  readonly objective: ScoreObjective;
  readonly signal: AbortSignal | undefined;
  /** Compute every vector from the tokens. */
  readonly plain: boolean;
  /** Called after each run with the layers that it computed. */
  readonly onRun: (layers: number) => void;
  /** Scored tokens of each sample of the batch. */
  readonly rows: readonly number[];
  /** Called with each vector's sums as soon as they are computed; where it throws, nothing more is run. */
  readonly onSums: (vector: number, sums: Float64Array) => Promise<void>;
}

/**
 * What resumed and plain runs may differ by on a GPU, nats per scored token, beyond four times what two runs of the full
 * adapter differ by: cutting a graph undoes fused operations, which rounds otherwise.
 */
const GPU_TOLERANCE = 5e-4;

/**
 * Scores vectors of strengths on the batch that a runner holds: resumed along the trie where the model's graph allows it
 * and the self-check agrees, else one plain run each.
 */
export class BatchScorer {
  replay: ReplayMode = null;
  /** Largest difference that the self-check saw, nats per scored token. */
  noiseFloor = 0;
  /** Of the last batch, see `BatchRunner.borders`. */
  borders: readonly string[] = [];
  /** Runs that the self-check added, all of them from the tokens. */
  checkRuns = 0;
  readonly notices: string[] = [];
  readonly #runner: BatchRunner;
  readonly #layers: number;
  readonly #partsPerLayer: number;
  readonly #exact: boolean;
  #usable: readonly boolean[] = [];

  /** @param exact equal bits are asked for, as on the CPU */
  constructor(runner: BatchRunner, layers: number, partsPerLayer: number, exact: boolean) {
    this.#runner = runner;
    this.#layers = layers;
    this.#partsPerLayer = partsPerLayer;
    this.#exact = exact;
  }

  /** Takes the word of a self-check with the same inputs instead of repeating it. */
  restore({ replay, noiseFloor, notices, usable }: SelfCheck): void {
    this.replay = replay;
    this.noiseFloor = noiseFloor;
    this.notices.push(...notices);
    this.#usable = usable;
  }

  /** [L], whether a run can resume at layer k; empty before the first one. */
  get usable(): readonly boolean[] {
    return this.#usable;
  }

  /** Layers that scoring `vectors` on one batch takes, self-check and reference apart. */
  layersOf(vectors: readonly Float32Array[], plain: boolean): number {
    if (plain || this.replay === "plain") return vectors.length * this.#layers;
    return planRuns(vectors, { partsPerLayer: this.#partsPerLayer, usable: this.#usable }).layersComputed;
  }

  /** @returns per vector: per sample of the batch, the objective summed over scored tokens, nats */
  async score(vectors: readonly Float32Array[], options: BatchScoreOptions): Promise<readonly Float64Array[]> {
    if (options.objective === "kl") await this.#keepFull(vectors, options);
    if (!options.plain && this.replay !== "plain") {
      const sums = await this.#resumed(vectors, options);
      if (sums !== null) return sums;
    }
    const sums: Float64Array[] = [];
    for (const [vector, strengths] of vectors.entries()) {
      const result = await this.#runner.run({ strengths, ...logitsFor(options) }, options.signal);
      await options.onSums(vector, result.sums);
      sums.push(result.sums);
      options.onRun(this.#layers);
    }
    return sums;
  }

  /** What divergences are measured from: the logits of the full adapter on this batch. */
  async #keepFull([first]: readonly Float32Array[], { signal, onRun }: BatchScoreOptions): Promise<void> {
    const strengths = new Float32Array(first?.length ?? 0).fill(1);
    await this.#runner.run({ strengths, logits: "keep" }, signal);
    onRun(this.#layers);
  }

  /** Null where resuming does not work; it is not tried again then. */
  async #resumed(
    vectors: readonly Float32Array[],
    options: BatchScoreOptions,
  ): Promise<readonly Float64Array[] | null> {
    try {
      const partsPerLayer = this.#partsPerLayer;
      const ideal = planRuns(vectors, { partsPerLayer });
      const first = vectors[ideal.runs[0]?.vector ?? 0] ?? new Float32Array();
      this.borders = await this.#runner.borders(first, options.signal);
      this.#usable = this.borders.map((crossing) => crossing !== "");
      const plan = planRuns(vectors, { partsPerLayer, usable: this.#usable });
      if (plan.mostStates === 0 && ideal.mostStates > 0) {
        return this.#fallBack("its graph has no border between layers");
      }
      const sums = await this.#follow(plan, vectors, options);
      if (this.replay !== null || (await this.#agrees(plan, vectors, sums, options))) return sums;
      return this.#fallBack("a resumed run and a plain run of the same candidate gave different scores");
    } catch (error) {
      if (!(error instanceof BackendError) || error.code !== "REPLAY_FAILED") throw error;
      return this.#fallBack(error.message);
    }
  }

  async #follow(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    options: BatchScoreOptions,
  ): Promise<readonly Float64Array[]> {
    const sums: Float64Array[] = vectors.map(() => new Float64Array());
    for (const { vector, resumeAt, keepAt } of plan.runs) {
      const strengths = vectors[vector] ?? new Float32Array();
      const result = await this.#runner.run({ strengths, resumeAt, keepAt, ...logitsFor(options) }, options.signal);
      await options.onSums(vector, result.sums);
      sums[vector] = result.sums;
      options.onRun(this.#layers - resumeAt);
    }
    return sums;
  }

  /**
   * The self-check: some resumed runs against plain ones. On the CPU the same bits; elsewhere as close as rounding allows,
   * which is measured by running the first vector twice.
   */
  async #agrees(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    sums: readonly Float64Array[],
    options: BatchScoreOptions,
  ): Promise<boolean> {
    const { rows } = options;
    const checked = selfChecks(plan);
    if (checked.length === 0) return true;
    const again = async (vector: number) => {
      const strengths = vectors[vector] ?? new Float32Array();
      const result = await this.#runner.run({ strengths, ...logitsFor(options) }, options.signal);
      options.onRun(this.#layers);
      this.checkRuns += 1;
      return result.sums;
    };
    const trunk = plan.runs[0]?.vector ?? 0;
    const noise = this.#exact ? 0 : largestDifference(await again(trunk), await again(trunk), rows);
    const tolerance = this.#exact ? 0 : 4 * noise + GPU_TOLERANCE;
    let largest = noise;
    for (const { vector } of checked) {
      largest = Math.max(largest, largestDifference(await again(vector), sums[vector] ?? new Float64Array(), rows));
    }
    this.noiseFloor = largest;
    if (!(largest <= tolerance)) return false;
    this.replay = largest === 0 ? "exact" : "close";
    return true;
  }

  #fallBack(reason: string): null {
    this.replay = "plain";
    this.notices.push(
      `Resuming between layers does not work for this model (${reason}), so every candidate is computed from the start: same scores, about twice the time.`,
    );
    return null;
  }
}

function logitsFor({ objective }: BatchScoreOptions): Pick<Run, "logits"> {
  return objective === "kl" ? { logits: "divergence" } : {};
}

/** Nats per scored token; infinite where one is not a number. */
function largestDifference(a: Float64Array, b: Float64Array, rows: readonly number[]): number {
  return a.reduce((largest, sum, sample) => {
    const difference = Math.abs(sum - (b[sample] ?? NaN)) / (rows[sample] ?? 1);
    return Math.max(largest, Number.isNaN(difference) ? Infinity : difference);
  }, 0);
}

/** The runs that a self-check repeats from the tokens: those that resume lowest, in the middle, and highest. */
export function selfChecks({ runs }: TriePlan): readonly TrieRun[] {
  const resumed = runs.filter(({ resumeAt }) => resumeAt > 0).sort((a, b) => a.resumeAt - b.resumeAt);
  const places = [0, resumed.length >> 1, resumed.length - 1];
  return resumed.filter((_, index) => places.includes(index));
}
