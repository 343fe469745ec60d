import { CancelledError, InternalError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";
import { isUniform, type Gap, type ScoreTable } from "./scores.js";
import type { SearchScorer } from "./scorer.js";
import { BudgetSpent } from "./stop.js";

export interface BookOptions {
  readonly signal?: AbortSignal;
  /** Whether the search has had its time; asked before each batch but the first. */
  readonly isSpent?: () => boolean;
  /** Passes that were computed. */
  readonly onPasses?: (passes: number) => void;
}

interface Page {
  readonly candidate: Candidate;
  /** [n], NaN where not scored. */
  readonly scores: Float64Array;
  readonly batches: Set<number>;
  dropped: boolean;
  /** Scored only on samples that had no part in finding it. */
  apart: boolean;
}

/**
 * Every score that a search has seen of the candidates it may make claims about, batch by batch, so that nothing is computed
 * twice and whatever happens the known part can be judged.
 */
export class ScoreBook {
  readonly scorer: SearchScorer;
  readonly #options: BookOptions;
  readonly #pages = new Map<string, Page>();
  #batchesScored = 0;
  #version = 0;

  constructor(scorer: SearchScorer, options: BookOptions = {}) {
    this.scorer = scorer;
    this.#options = options;
  }

  /** Another number after every change of what the book holds. */
  get version(): number {
    return this.#version;
  }

  /**
   * Scores candidates on one batch, as one trie; what is known already is not computed again.
   *
   * @throws CancelledError, BudgetSpent
   */
  async score(candidates: readonly Candidate[], batch: number): Promise<void> {
    const missing = candidates.filter((candidate) => !this.#page(candidate).batches.has(batch));
    if (missing.length === 0) return;
    const columns = await this.compute(missing, [batch]);
    for (const [index, candidate] of missing.entries()) {
      const page = this.#page(candidate);
      for (const sample of this.samplesOf([batch])) page.scores[sample] = columns[index]?.[sample] ?? NaN;
      page.batches.add(batch);
    }
    this.#version += 1;
  }

  /** Scores that are not written down: of candidates that nothing will be claimed about. */
  async compute(candidates: readonly Candidate[], batches: readonly number[]): Promise<readonly Float64Array[]> {
    const { signal, isSpent, onPasses } = this.#options;
    if (signal?.aborted === true) throw new CancelledError();
    if (this.#batchesScored > 0 && isSpent?.() === true) throw new BudgetSpent();
    const passes = this.scorer.cost(candidates, batches);
    let told = 0;
    const tell = (done: number) => {
      onPasses?.(done - told);
      told = done;
    };
    const columns = await this.scorer.score(candidates, {
      batches,
      ...(signal && { signal }),
      onProgress: ({ done, total }) => {
        tell((passes * Math.min(done, total)) / total);
      },
    });
    this.#batchesScored += 1;
    tell(passes);
    return columns;
  }

  /** Enters a column that was put together elsewhere. */
  enter(candidate: Candidate, scores: Float64Array): void {
    this.#version += 1;
    const batches = this.scorer.batches.flatMap((samples, batch) =>
      samples.every((sample) => Number.isFinite(scores[sample])) ? [batch] : [],
    );
    this.#pages.set(candidate.id, {
      candidate,
      scores,
      batches: new Set(batches),
      dropped: false,
      apart: batches.length < this.scorer.batches.length,
    });
  }

  /** The candidate left the race: nothing will be claimed about it. */
  drop(candidate: Candidate): void {
    this.#version += 1;
    this.#page(candidate).dropped = true;
  }

  /** It is back, and complete. */
  readmit(candidate: Candidate): void {
    this.#version += 1;
    this.#page(candidate).dropped = false;
  }

  /** Who left a race over all batches, in the order of the table. */
  left(): readonly Candidate[] {
    return [...this.#pages.values()]
      .filter(({ dropped, apart }) => dropped && !apart)
      .map(({ candidate }) => candidate);
  }

  setApart(candidate: Candidate): void {
    this.#version += 1;
    this.#page(candidate).apart = true;
  }

  /** Forgets candidates, such as those of a stage that was not finished. */
  forget(candidates: readonly Candidate[]): void {
    this.#version += 1;
    for (const { id } of candidates) this.#pages.delete(id);
  }

  /** [n], NaN where not scored. */
  scoresOf(candidate: Candidate): Float64Array {
    return this.#page(candidate).scores;
  }

  has(id: string): boolean {
    return this.#pages.has(id);
  }

  /** As `scoresOf`, by name; all NaN where the name is unknown. */
  scoresById(id: string): Float64Array {
    return this.#pages.get(id)?.scores ?? new Float64Array(this.scorer.groups.length).fill(NaN);
  }

  samplesOf(batches: readonly number[]): readonly number[] {
    return batches.flatMap((batch) => this.scorer.batches[batch] ?? []);
  }

  /** Samples on which every candidate that may be claimed about was scored, ascending. */
  sharedSamples(): readonly number[] {
    const claimed = [...this.#pages.values()].filter(({ dropped, apart }) => !dropped && !apart);
    const batches = this.scorer.batches.map((_, batch) => batch);
    return [...this.samplesOf(batches.filter((batch) => claimed.every((page) => page.batches.has(batch))))].sort(
      (a, b) => a - b,
    );
  }

  /** Everything known, over all samples; base model and full adapter must be complete. */
  table(): ScoreTable {
    const pages = [...this.#pages.values()];
    const { groups, tokens } = this.scorer;
    const gaps = pages.map(({ dropped, apart, batches }): Gap | null =>
      dropped || apart ? { dropped, samples: this.samplesOf([...batches]).length } : null,
    );
    return {
      candidates: pages.map(({ candidate }) => candidate),
      perSample: pages.map(({ scores }) => scores),
      gaps,
      tokens,
      groups,
    };
  }

  /** Base model and full adapter, which everything is compared with. */
  references(): { readonly base: Float64Array; readonly full: Float64Array } {
    const pages = [...this.#pages.values()];
    const base = pages.find(({ candidate }) => isUniform(candidate, 0));
    const full = pages.find(({ candidate }) => isUniform(candidate, 1));
    if (base === undefined || full === undefined) throw new InternalError("SCORE_SHAPE", "No reference was scored.");
    return { base: base.scores, full: full.scores };
  }

  #page(candidate: Candidate): Page {
    let page = this.#pages.get(candidate.id);
    if (page === undefined) {
      const scores = new Float64Array(this.scorer.groups.length).fill(NaN);
      page = { candidate, scores, batches: new Set(), dropped: false, apart: false };
      this.#pages.set(candidate.id, page);
    }
    return page;
  }
}
