import { BackendError } from "../errors.js";
import type { BatchRunner } from "./batch-runner.js";
import { planRuns, type TriePlan, type TrieRun } from "./scale-trie.js";
import type { ReplayMode } from "./session-types.js";

export interface BatchScoreOptions {
  readonly signal: AbortSignal | undefined;
  /** Compute every vector from the tokens. */
  readonly plain: boolean;
  /** Called after each run with the layers that it computed. */
  readonly onRun: (layers: number) => void;
}

/**
 * Scores vectors of strengths on the batch that a runner holds: resumed along the trie where the model's graph allows it
 * and the self-check agrees, else one plain run each.
 */
export class BatchScorer {
  replay: ReplayMode = null;
  /** Of the last batch, see `BatchRunner.borders`. */
  borders: readonly string[] = [];
  readonly notices: string[] = [];
  readonly #runner: BatchRunner;
  readonly #layers: number;

  constructor(runner: BatchRunner, layers: number) {
    this.#runner = runner;
    this.#layers = layers;
  }

  /** @returns per vector: per sample of the batch, summed negative log-likelihood, nats */
  async score(vectors: readonly Float32Array[], options: BatchScoreOptions): Promise<readonly Float64Array[]> {
    if (!options.plain && this.replay !== "plain") {
      const sums = await this.#resumed(vectors, options);
      if (sums !== null) return sums;
    }
    const sums: Float64Array[] = [];
    for (const strengths of vectors) {
      sums.push((await this.#runner.run({ strengths }, options.signal)).sums);
      options.onRun(this.#layers);
    }
    return sums;
  }

  /** Null where resuming does not work; it is not tried again then. */
  async #resumed(
    vectors: readonly Float32Array[],
    options: BatchScoreOptions,
  ): Promise<readonly Float64Array[] | null> {
    try {
      const ideal = planRuns(vectors);
      const first = vectors[ideal.runs[0]?.vector ?? 0] ?? new Float32Array();
      this.borders = await this.#runner.borders(first, options.signal);
      const plan = planRuns(
        vectors,
        this.borders.map((crossing) => crossing !== ""),
      );
      if (plan.mostStates === 0 && ideal.mostStates > 0) {
        return this.#fallBack("its graph has no border between layers");
      }
      const sums = await this.#follow(plan, vectors, options);
      if (this.replay === "exact" || (await this.#agrees(plan, vectors, sums, options))) return sums;
      return this.#fallBack("a resumed run and a plain run of the same candidate gave different scores");
    } catch (error) {
      if (!(error instanceof BackendError) || error.code !== "REPLAY_FAILED") throw error;
      return this.#fallBack(error.message);
    }
  }

  async #follow(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    { signal, onRun }: BatchScoreOptions,
  ): Promise<readonly Float64Array[]> {
    const sums: Float64Array[] = vectors.map(() => new Float64Array());
    for (const { vector, resumeAt, keepAt } of plan.runs) {
      const strengths = vectors[vector] ?? new Float32Array();
      sums[vector] = (await this.#runner.run({ strengths, resumeAt, keepAt }, signal)).sums;
      onRun(this.#layers - resumeAt);
    }
    return sums;
  }

  /** The self-check: some resumed runs against plain ones. Same bits, or no resuming. */
  async #agrees(
    plan: TriePlan,
    vectors: readonly Float32Array[],
    sums: readonly Float64Array[],
    { signal, onRun }: BatchScoreOptions,
  ): Promise<boolean> {
    const checked = selfChecks(plan);
    for (const { vector } of checked) {
      const { sums: expected } = await this.#runner.run({ strengths: vectors[vector] ?? new Float32Array() }, signal);
      onRun(this.#layers);
      if (!expected.every((sum, sample) => Object.is(sum, sums[vector]?.[sample]))) return false;
    }
    if (checked.length > 0) this.replay = "exact";
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

/** The runs that a self-check repeats from the tokens: those that resume lowest, in the middle, and highest. */
export function selfChecks({ runs }: TriePlan): readonly TrieRun[] {
  const resumed = runs.filter(({ resumeAt }) => resumeAt > 0).sort((a, b) => a.resumeAt - b.resumeAt);
  const places = [0, resumed.length >> 1, resumed.length - 1];
  return resumed.filter((_, index) => places.includes(index));
}
