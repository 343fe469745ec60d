import type { ReferencedSample } from "../data/references.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { Batch } from "../engine/pack-batches.js";
import { LoraBoundaryError, UsageError } from "../errors.js";
import { checkGeneratorOptions } from "../generation/check-options.js";
import type { NamedScales } from "../lora/candidate.js";
import type { Metric } from "../metrics/metric.js";
import { AnswerWriter, cutNotice, type AnswerOptions } from "./answer-writer.js";
import { scoreOf } from "./answering.js";

/** Answers of all candidates to the samples that there was time for. */
export interface AnsweredSamples {
  /** Their indices, ascending; all where nothing has stopped it. */
  readonly samples: readonly number[];
  /** Per candidate, one per each of those. */
  readonly answers: readonly (readonly string[])[];
  readonly notices: readonly string[];
  /** Why it ended early: Ctrl-C, the backend, a metric that cannot score what was written; null: it did not. */
  readonly stopped: LoraBoundaryError | null;
}

export interface WriteAnswersOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Lets all candidates answer some samples before the next ones, so that whatever ends it, the samples until then can be
 * compared in pairs. Metrics are asked at once: one that fails does so early.
 *
 * @param batches samples, by index, that are answered together
 * @throws as `AnswerWriter`; what happens later is told as `stopped`
 */
export async function writeAnswers(
  adapter: Adapter,
  set: SampleSet,
  candidates: readonly NamedScales[],
  judging: { readonly metrics: readonly Metric[]; readonly samples: readonly ReferencedSample[] },
  batches: readonly Batch[],
  answering: AnswerOptions,
  { signal, onProgress }: WriteAnswersOptions = {},
): Promise<AnsweredSamples> {
  await using writer = new AnswerWriter(adapter, set, batches, answering);
  const texts = candidates.map(() => new Map<number, string>());
  const complete: number[] = [];
  let stopped: LoraBoundaryError | null = null;
  let done = 0;
  try {
    for (const [batch, members] of batches.entries()) {
      for (const [index, candidate] of candidates.entries()) {
        const before = done;
        const onAnswer = (count: number) => onProgress?.(before + count, candidates.length * set.samples.length);
        const answers = await writer.write(candidate, batch, { signal, onAnswer });
        done += answers.length;
        for (const [place, sample] of members.entries()) {
          const text = answers[place] ?? "";
          texts[index]?.set(sample, text);
          for (const metric of judging.metrics) scoreOf(metric, text, judging.samples[sample]);
        }
      }
      complete.push(...members);
    }
  } catch (error) {
    if (!(error instanceof LoraBoundaryError) || error instanceof UsageError) throw error;
    stopped = error;
  }
  const samples = complete.sort((a, b) => a - b);
  const cut = cutNotice(writer.facts, checkGeneratorOptions(answering).maxTokens);
  return {
    ...{ samples, stopped },
    answers: texts.map((written) => samples.map((sample) => written.get(sample) ?? "")),
    notices: [...writer.facts.notices, ...(cut === null ? [] : [cut])],
  };
}
