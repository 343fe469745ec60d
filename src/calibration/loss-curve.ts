import type { Candidate } from "../lora/candidate.js";
import type { CandidateLoss } from "../result.js";
import type { JudgeOptions } from "../search/judge-options.js";
import { judge } from "../search/judge.js";
import { NLL } from "../search/objective.js";
import { ScoreBook } from "../search/score-book.js";
import { isUniform, tableOfSamples } from "../search/scores.js";
import type { SearchScorer } from "../search/scorer.js";
import type { FirstLookOptions } from "./scoring.js";

/** The loss of candidates that are judged by something else; each score is computed once. */
export class LossCurve {
  readonly #book: ScoreBook;

  constructor(scorer: SearchScorer, signal?: AbortSignal) {
    this.#book = new ScoreBook(scorer, { ...(signal && { signal }) });
  }

  /** @throws CancelledError, BackendError */
  async score(
    candidates: readonly Candidate[],
    batches: readonly number[],
    { onProgress, isSpent }: FirstLookOptions = {},
  ): Promise<void> {
    for (const [done, batch] of batches.entries()) {
      if (isSpent?.() === true) return;
      onProgress?.({ done, total: batches.length });
      await this.#book.score(candidates, batch);
    }
  }

  /** Least loss first, on what all of them were scored on; of equals, the one that was asked for first. */
  inOrder(candidates: readonly Candidate[], batches: readonly number[]): readonly Candidate[] {
    const columns = candidates.map(({ id }) => this.#book.scoresById(id));
    const samples = this.#book.samplesOf(batches);
    const means = new Map(
      candidates.map(({ id }, index) => [
        id,
        samples.reduce((sum, sample) => sum + (columns[index]?.[sample] ?? NaN), 0) / samples.length,
      ]),
    );
    return [...candidates].sort((a, b) => (means.get(a.id) ?? 0) - (means.get(b.id) ?? 0));
  }

  /**
   * What the losses prove of every candidate that has them on all of `samples`: the same bounds, margin and verdicts, by NLL.
   * Empty without base model and full adapter.
   */
  judged(options: JudgeOptions, samples: readonly number[]): ReadonlyMap<string, CandidateLoss> {
    const table = tableOfSamples(this.#book.table(), samples);
    const isWhole = table.perSample.map((scores) => scores.every(Number.isFinite));
    const whole = {
      candidates: table.candidates.filter((_, index) => isWhole[index]),
      perSample: table.perSample.filter((_, index) => isWhole[index]),
      tokens: table.tokens,
      groups: table.groups,
    };
    if (![0, 1].every((strength) => whole.candidates.some((candidate) => isUniform(candidate, strength)))) {
      return new Map();
    }
    const { candidates } = judge(whole, { ...options, objective: NLL });
    return new Map(
      candidates.map(({ id, mean, retention, verdict }) => [id, { mean, retention, verdict } satisfies CandidateLoss]),
    );
  }
}
