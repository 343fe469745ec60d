import type { ReferencedSample } from "../data/references.js";
import type { Sample } from "../data/sample.js";
import { CancelledError, InternalError } from "../errors.js";
import type { NamedScales } from "../lora/candidate.js";
import type { Metric } from "../metrics/metric.js";
import { turned } from "../search/objective.js";
import type { SearchScorer } from "../search/scorer.js";

/**
 * Writes the answer of one candidate to each sample's prompt, greedily: the text behind the tokens before the scored ones.
 *
 * @returns one per sample, in their order; may be empty
 */
export type WriteAnswers = (
  candidate: NamedScales,
  samples: readonly Sample[],
  options: { readonly signal?: AbortSignal },
) => Promise<readonly string[]>;

export interface AnsweredModel {
  /** L. */
  readonly layers: number;
  readonly coveredLayers: readonly number[];
  readonly samples: readonly ReferencedSample[];
  readonly metric: Metric;
  readonly write: WriteAnswers;
  /** Called with what each candidate wrote, so that nothing is lost when a run ends early. */
  readonly onAnswers?: (candidate: NamedScales, answers: readonly string[]) => void;
}

/**
 * Answers as a search sees them: the metric's per-sample scores as losses. With it any strategy, gate, verdict, choice and
 * control works on the metric; give the metric as the `objective`, and scores are told on their own scale.
 */
export function answerScorer({ metric, samples, write, onAnswers, ...model }: AnsweredModel): SearchScorer {
  const all = samples.map((_, index) => index);
  return {
    layers: model.layers,
    coveredLayers: model.coveredLayers,
    groups: samples.map(({ group }) => group),
    // Answers weigh the same, however long their references are.
    tokens: new Int32Array(samples.length).fill(1),
    batches: [all],
    cost: (candidates) => candidates.length,
    async score(candidates, { signal, onProgress }) {
      const losses: Float64Array[] = [];
      for (const candidate of candidates) {
        if (signal?.aborted === true) throw new CancelledError();
        const answers = await write(candidate, samples, signal ? { signal } : {});
        if (answers.length !== samples.length) {
          throw new InternalError(
            "ANSWERS_SHAPE",
            `Expected ${samples.length} answers of \`${candidate.id}\` but received ${answers.length}.`,
          );
        }
        onAnswers?.(candidate, answers);
        const scores = samples.map(({ references, line, source }, index) =>
          metric.perSample(answers[index] ?? "", references, { line, row: source.row }),
        );
        losses.push(turned(scores, metric));
        onProgress?.({ done: losses.length, total: candidates.length });
      }
      return losses;
    },
  };
}
