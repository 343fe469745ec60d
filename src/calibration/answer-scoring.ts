import { withReferences } from "../data/references.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSession } from "../engine/score-session.js";
import { strengthsOf } from "../engine/candidate-strengths.js";
import { AnswerWriter, cutNotice, type AnswerOptions } from "../evaluation/answer-writer.js";
import { answerScorer, requireMetric, type WrittenAnswers } from "../evaluation/answering.js";
import type { Candidate } from "../lora/candidate.js";
import { metricIdentity, type Metric } from "../metrics/metric.js";
import { checkGeneratorOptions } from "../generation/check-options.js";
import type { CalibrationResult } from "../result.js";
import { boundaryCandidates } from "../search/families.js";
import type { Judgement } from "../search/judge.js";
import type { SearchScorer } from "../search/scorer.js";
import type { AnswerJournal } from "./journal-answers.js";
import type { Journal } from "./journal.js";
import { LossCurve } from "./loss-curve.js";
import { blocksOfBatches, type Packing } from "./packing.js";
import { answerInputs, shortened } from "./run-record.js";
import type { FirstLookOptions, Scoring, ScoringOptions } from "./scoring.js";
import { sessionScorer } from "./session-scorer.js";

/**
 * Candidates judged by what they write. Their loss is the first look: it puts them in order, so that each is followed by one
 * that writes much the same, and goes into the result beside; it never decides who stays.
 */
export class AnswerScoring implements Scoring {
  readonly scorer: SearchScorer;
  readonly #adapter: Adapter;
  readonly #session: ScoreSession;
  readonly #options: ScoringOptions;
  readonly #metric: Metric;
  readonly #answering: AnswerOptions;
  readonly #batches: readonly (readonly number[])[];
  readonly #blockOf: readonly number[];
  readonly #curve: LossCurve;
  readonly #writer: AnswerWriter;
  /** By candidate, then by sample. */
  readonly #written = new Map<string, Map<number, string>>();
  #journal: AnswerJournal | null = null;
  /** The metric has scored answers otherwise than it did before the run was resumed. */
  #isFickle = false;
  #secondsPerPass: number | null = null;

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
    this.#metric = metric;
    this.#answering = { ...options.answers, threads: options.answers?.threads ?? session.threads };
    this.#batches = batches ?? [];
    this.#blockOf = blocksOfBatches(session.batches, blocks ?? new Int32Array());
    this.#curve = new LossCurve(sessionScorer(adapter, set, session), options.signal);
    this.#writer = new AnswerWriter(adapter, set, this.#batches, this.#answering);
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
      write: (candidate, batch, writing) => this.#writer.write(candidate, batch, writing),
      onAnswers: (written) => {
        this.#keep(written);
      },
      keepScores: (candidate, batch, scores) => this.#keepScores(candidate, batch, scores),
    });
  }

  async keepIn(journal: Journal): Promise<readonly string[]> {
    const metric = metricIdentity(this.#metric);
    const kept = await journal.answersOf(answerInputs(this.#answering, this.#batches), this.#batches, metric);
    this.#journal = kept;
    this.#writer.useStore(kept);
    if (kept.scoredBy === null || kept.scoredBy === metric) return [];
    return [
      `The metric is another one (${shortened(kept.scoredBy)} then, ${shortened(metric)} now): the answers are those that were written, and are scored anew.`,
    ];
  }

  passesLeft(candidates: readonly Candidate[]): number {
    const batches = [...this.#batches.keys()];
    return candidates.reduce(
      (sum, candidate) =>
        sum +
        this.scorer.cost(
          [candidate],
          batches.filter((it) => !this.#writer.knows(candidate, it)),
        ),
      0,
    );
  }

  get spent() {
    const { tokensComputed, seconds } = this.#writer.facts;
    return { passes: tokensComputed / this.#session.tokens, seconds };
  }

  firstLookPasses(candidates: readonly Candidate[]): number {
    return this.#session.cost(candidates).passes;
  }

  async firstLook(candidates: readonly Candidate[], options: FirstLookOptions): Promise<void> {
    // The order in which answers are taken up is that in which they were written: the plan asks for these first.
    await this.secondsPerPass(this.#options.signal);
    await this.#curve.score(candidates, [...this.#session.batches.keys()], options);
  }

  /** The full adapter's answers to the first few samples are needed in any case. */
  async secondsPerPass(signal?: AbortSignal): Promise<number> {
    if (this.#secondsPerPass !== null) return this.#secondsPerPass;
    const full = boundaryCandidates(this.#adapter.model.layers, this.#adapter.file.layers).at(-1);
    if (full === undefined) return NaN;
    const answers = await this.#writer.write(full, 0, { signal });
    this.#keep({ candidate: full, samples: this.#batches[0] ?? [], answers });
    this.#secondsPerPass = this.#writer.facts.seconds / this.#shareOf(0);
    return this.#secondsPerPass;
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
    const cut = cutNotice(this.#writer.facts, checkGeneratorOptions(this.#answering).maxTokens);
    const fickle = `The metric ${this.#metric.name} scored the same answers otherwise than before the run was resumed, though its file is the same: it leaves something to chance, or what it imports has changed. All scores told here are those of now.`;
    const told = [...notices, ...(cut === null ? [] : [cut]), ...(this.#isFickle ? [fickle] : [])];
    const { passes, naivePasses } = this.#session.facts;
    return {
      ...result,
      data: { ...result.data, notices: [...result.data.notices, ...told] },
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

  #keep(written: WrittenAnswers): void {
    const texts = this.#written.get(written.candidate.id) ?? new Map<number, string>();
    const isNew = written.samples.some((sample) => !texts.has(sample));
    for (const [place, sample] of written.samples.entries()) texts.set(sample, written.answers[place] ?? "");
    this.#written.set(written.candidate.id, texts);
    if (isNew) this.#options.onAnswers?.(written);
  }

  async #keepScores(candidate: Candidate, batch: number, scores: readonly number[]): Promise<void> {
    if (this.#journal === null) return;
    const strengths = strengthsOf(candidate, this.#adapter);
    const known = this.#journal.scores(batch, strengths);
    this.#isFickle ||= known?.some((score, place) => score !== scores[place]) === true;
    if (known === undefined) await this.#journal.storeScores(batch, strengths, scores);
  }
}
