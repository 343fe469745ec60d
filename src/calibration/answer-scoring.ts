import { withReferences } from "../data/references.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import { AnswerWriter, cutNotice } from "../evaluation/answer-writer.js";
import { answerScorer, requireMetric, type WrittenAnswers } from "../evaluation/answering.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import type { Metric } from "../metrics/metric.js";
import type { CalibrationResult } from "../result.js";
import { boundaryCandidates } from "../search/families.js";
import type { Judgement } from "../search/judge.js";
import type { SearchScorer } from "../search/scorer.js";
import { LossCurve } from "./loss-curve.js";
import { blocksOfBatches, type Packing } from "./packing.js";
import type { AnswerChoices, FirstLookOptions, Scoring, ScoringOptions } from "./scoring.js";
import { sessionScorer } from "./session-scorer.js";

const DEFAULT_ANSWER_TOKENS = 256;

/**
 * Candidates judged by what they write. Their loss is the first look: it puts them in order, so that each is followed by one
 * that writes much the same, and goes into the result beside; it never decides who stays.
 */
export class AnswerScoring implements Scoring {
  readonly scorer: SearchScorer;
  readonly #adapter: Adapter;
  readonly #session: ScoreSession;
  readonly #options: AnswerChoices;
  readonly #batches: readonly (readonly number[])[];
  readonly #blockOf: readonly number[];
  readonly #curve: LossCurve;
  readonly #writer: AnswerWriter;
  /** By candidate, then by sample. */
  readonly #written = new Map<string, Map<number, string>>();

  /** @throws InputError SAMPLES_NO_REFERENCES, SAMPLES_NO_PROMPT, PROMPT_TOO_LONG, METRIC_*; UsageError GENERATE_OPTION */
  constructor(
    adapter: Adapter,
    set: SampleSet,
    session: ScoreSession,
    { batches, blocks }: Packing,
    metric: Metric,
    options: ScoringOptions,
  ) {
    const samples = withReferences(set);
    requireMetric(metric, samples);
    this.#adapter = adapter;
    this.#session = session;
    this.#options = options;
    this.#batches = batches ?? [];
    this.#blockOf = blocksOfBatches(session.batches, blocks ?? new Int32Array());
    this.#curve = new LossCurve(sessionScorer(adapter, set, session), options.signal);
    this.#writer = new AnswerWriter(adapter, set, this.#batches, { threads: session.threads, ...options.answers });
    this.scorer = answerScorer({
      layers: adapter.model.layers,
      coveredLayers: adapter.file.layers,
      units: adapter.units,
      batches: this.#batches,
      ...{ samples, metric },
      passes: (batch) => this.#shareOf(batch),
      order: async (candidates, batch) => {
        const here = this.#lossBatches(batch);
        await this.#curve.score(candidates, here);
        return this.#curve.inOrder(candidates, here);
      },
      write: async (candidate, batch, writing) =>
        this.#known(candidate, batch) ?? (await this.#writer.write(candidate, batch, writing)),
      onAnswers: (written) => {
        this.#keep(written);
      },
    });
  }

  get spent() {
    const { tokensComputed, seconds } = this.#writer.facts;
    return { passes: tokensComputed / this.#session.tokens, seconds };
  }

  firstLookPasses(candidates: readonly Candidate[]): number {
    return this.#session.cost(candidates).passes;
  }

  async firstLook(candidates: readonly Candidate[], options: FirstLookOptions): Promise<void> {
    await this.#curve.score(candidates, [...this.#session.batches.keys()], options);
  }

  /** The full adapter's answers to the first few samples are needed in any case. */
  async secondsPerPass(signal?: AbortSignal): Promise<number> {
    const full = boundaryCandidates(this.#adapter.model.layers, this.#adapter.file.layers).at(-1);
    if (full === undefined) return NaN;
    const start = performance.now();
    const answers = this.#known(full, 0) ?? (await this.#writer.write(full, 0, { signal }));
    this.#keep({ candidate: full, samples: this.#batches[0] ?? [], answers });
    return (performance.now() - start) / 1000 / this.#shareOf(0);
  }

  async tell(result: CalibrationResult, judgement: Judgement, samples: readonly number[]): Promise<CalibrationResult> {
    const { tokensComputed, tokensWritten, steps, draftsProposed, draftsAccepted, seconds, notices } =
      this.#writer.facts;
    // A subset's column is of the procedure, on samples that had no part in it; its loss would be of what is written.
    const compared = judgement.candidates.flatMap(({ candidate }) =>
      candidate.family === "subset" ? [] : [candidate],
    );
    const all = [...this.#session.batches.keys()];
    if (result.partial === null) {
      await this.#curve.score(compared, all);
    }
    const losses = this.#curve.judged(judgement.options, samples);
    const cut = cutNotice(this.#writer.facts, this.#options.answers?.maxTokens ?? DEFAULT_ANSWER_TOKENS);
    const { passes, naivePasses } = this.#session.facts;
    return {
      ...result,
      data: { ...result.data, notices: [...result.data.notices, ...notices, ...(cut === null ? [] : [cut])] },
      candidates: result.candidates.map((candidate) => {
        const nll = candidate.family === "subset" ? undefined : losses.get(candidate.id);
        const texts = this.#options.keepAnswers === true ? this.#written.get(candidate.id) : undefined;
        return {
          ...candidate,
          ...(nll && { nll }),
          ...(texts && { answers: samples.map((sample) => texts.get(sample) ?? null) }),
        };
      }),
      cost: {
        ...result.cost,
        passes: passes + this.spent.passes,
        naivePasses: Math.max(naivePasses, result.cost.naivePasses) + this.scorer.cost(compared),
        tokensComputed: result.cost.tokensComputed + tokensComputed,
        generation: { steps, tokensComputed, tokensWritten, draftsProposed, draftsAccepted, seconds },
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
  }

  #shareOf(batch: number): number {
    return this.#session.shareOf(this.#lossBatches(batch));
  }

  /** The session's batches that hold the samples of a batch of answers. */
  #lossBatches(batch: number): readonly number[] {
    return this.#blockOf.flatMap((block, index) => (block === batch ? [index] : []));
  }

  #known(candidate: NamedScales, batch: number): readonly string[] | null {
    const samples = this.#batches[batch] ?? [];
    const texts = this.#written.get(candidate.id);
    const known = samples.map((sample) => texts?.get(sample));
    if (known.every((text) => text !== undefined)) return known;
    return this.#options.knownAnswers?.(candidate, samples) ?? null;
  }

  #keep(written: WrittenAnswers): void {
    const texts = this.#written.get(written.candidate.id) ?? new Map<number, string>();
    const isNew = written.samples.some((sample) => !texts.has(sample));
    for (const [place, sample] of written.samples.entries()) texts.set(sample, written.answers[place] ?? "");
    this.#written.set(written.candidate.id, texts);
    if (isNew) this.#options.onAnswers?.(written);
  }
}
