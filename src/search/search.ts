import { BackendError, CancelledError } from "../errors.js";
import type { Candidate, Family } from "../lora/candidate.js";
import { choose, type Goal } from "./choose.js";
import { conclude, concludeFrom, type ConcludeOptions, type Conclusion } from "./conclude.js";
import { needsControl } from "./controls.js";
import { boundaryCandidates, knockoutCandidates, prefixCandidates, scaleCandidates } from "./families.js";
import { completeJudgeOptions } from "./judge-options.js";
import { judge, type Judgement } from "./judge.js";
import { race, RACE_FROM_LAYERS, type Strategy } from "./race.js";
import { refine } from "./refine.js";
import { ScoreBook } from "./score-book.js";
import { isUniform, tableOfSamples } from "./scores.js";
import type { ScoreProgress, SearchScorer } from "./scorer.js";
import { isClose, SETTLING_STEPS, toComplete } from "./settle.js";
import { BudgetSpent } from "./stop.js";
import { alternatingFolds, subsetPasses, subsetSearch, type SubsetOutcome } from "./subset.js";
import { independentUnits, requireSpread, type Units } from "./units.js";

export interface SearchProgress extends ScoreProgress {
  /**
   * `boundary`: the candidates known beforehand; `refine`: windows and boosted boundaries around the best of them; `subset`;
   * `controls`: the global scales, where a cut would be called better; `settle`: who left the race, where the choice hangs on them.
   */
  readonly stage: "boundary" | "refine" | "subset" | "controls" | "settle";
}

export interface SearchOptions extends Omit<ConcludeOptions, "coveredLayers"> {
  /** Default `["boundary"]`; with `scale` the controls are scored at once and not only when needed. */
  readonly families?: readonly Family[];
  /** Default: `race` from 16 layers. */
  readonly strategy?: Strategy;
  /** Of every batch: 0 and 1 are ranked on and judged in turn; 2 is held out and only judges. Default: 0 and 1 by turns. */
  readonly folds?: readonly number[];
  /** Units out at which a subset search is judged; default: after each of its rounds. */
  readonly subsetSizes?: readonly number[];
  /** Whether the time is over; what is known then is the outcome. */
  readonly isSpent?: () => boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: SearchProgress) => void;
}

export interface SearchOutcome extends Conclusion {
  readonly strategy: Strategy;
  readonly subset: SubsetOutcome | null;
  /** Samples that everything is judged on, ascending; not all where the time was over in the first stage. */
  readonly samples: readonly number[];
  /** The stage in which the time was over; null: the search came to its end. */
  readonly stoppedIn: SearchProgress["stage"] | null;
}

/**
 * Scores the candidates of some families and answers. What is known beforehand is scored in one trie, exhaustively or as a
 * race; windows and boosted boundaries follow where those scores point; then the subset search; and where some cut would be called
 * `better`, the global scales. Everything is judged once, at the end, by one correction over all candidates ever tried.
 *
 * A failed gate is an outcome (`gate.failure`), not an error: nothing is selected and nothing more is scored unless `force`.
 *
 * @throws InputError TOO_FEW_SAMPLES before anything is scored; UsageError as `judge`
 * @throws CancelledError, BackendError; of both `details.partial` is the outcome on what was known, or null where that is too little
 */
export async function search(scorer: SearchScorer, options: SearchOptions = {}): Promise<SearchOutcome> {
  const run = new SearchRun(scorer, options);
  try {
    await run.stages();
  } catch (error) {
    if (error instanceof BudgetSpent) return run.outcome();
    if (!(error instanceof CancelledError || error instanceof BackendError)) throw error;
    const told = { cause: error, details: { ...error.details, partial: run.partial() } };
    if (error instanceof CancelledError) throw new CancelledError(error.message, told);
    throw new BackendError(error.code, error.message, told);
  }
  return run.outcome();
}

/** Families whose candidates no score decides: their samples can be scored in parts. */
export const FAMILIES_BEFOREHAND: readonly Family[] = ["boundary", "prefix", "knockout", "scale"];

/** Candidates that are known before anything is scored, references included; each name once. */
export function candidatesBeforehand(
  layers: number,
  covered: readonly number[],
  families: readonly Family[],
): readonly Candidate[] {
  const asked = (...names: readonly Family[]) => names.some((name) => families.includes(name));
  const boundaries = boundaryCandidates(layers, covered);
  const references = boundaries.filter((candidate) => isUniform(candidate, 0) || isUniform(candidate, 1));
  const all = [
    ...(asked("boundary", "window", "boundary+boost") ? boundaries : references),
    ...(asked("prefix", "window") ? prefixCandidates(layers, covered) : []),
    ...(asked("knockout") ? knockoutCandidates(layers, covered) : []),
    ...(asked("scale") ? scaleCandidates(layers) : []),
  ];
  return all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index);
}

/** One search from its first score to its answer. */
class SearchRun {
  readonly #scorer: SearchScorer;
  readonly #options: SearchOptions;
  readonly #judging: ConcludeOptions;
  readonly #families: readonly Family[];
  readonly #strategy: Strategy;
  readonly #units: Units;
  readonly #book: ScoreBook;
  #stage: SearchProgress["stage"] = "boundary";
  #done = 0;
  #total = 0;
  #finished = false;
  #stageCandidates: readonly Candidate[] = [];
  #subset: SubsetOutcome | null = null;
  #judged: { readonly version: number; readonly judgement: Judgement } | null = null;

  constructor(scorer: SearchScorer, options: SearchOptions) {
    const { families = ["boundary"], signal, isSpent } = options;
    this.#scorer = scorer;
    this.#options = options;
    this.#judging = { ...options, coveredLayers: scorer.coveredLayers };
    this.#families = families;
    this.#strategy = options.strategy ?? (scorer.layers >= RACE_FROM_LAYERS ? "race" : "exhaustive");
    const { tokenWeighted } = completeJudgeOptions(this.#judging);
    this.#units = independentUnits(scorer.groups, scorer.tokens, tokenWeighted);
    requireSpread(this.#units);
    this.#book = new ScoreBook(scorer, {
      ...(signal && { signal }),
      ...(isSpent && { isSpent: () => isSpent() && this.#canJudge() }),
      onPasses: (passes) => {
        this.#done += passes;
        this.#report();
      },
    });
  }

  async stages(): Promise<void> {
    const { layers, coveredLayers, batches } = this.#scorer;
    const { margin, force } = completeJudgeOptions(this.#judging);
    await this.#race("boundary", candidatesBeforehand(layers, coveredLayers, this.#families));
    const { gate } = this.#judgement();
    if (!gate.passed && !force) {
      this.#finish();
      return;
    }

    const refinement = refine(this.#book, this.#families, margin, this.#units);
    if (refinement !== null) {
      await this.#race("refine", refinement.candidates, refinement.batches);
      for (const candidate of refinement.candidates) this.#book.setApart(candidate);
    }
    if (this.#families.includes("subset")) {
      const { folds = alternatingFolds(batches.length), subsetSizes, seed = 0 } = this.#options;
      this.#begin("subset", [], await subsetPasses(this.#scorer, folds));
      this.#subset = await subsetSearch(this.#book, folds, { seed, ...(subsetSizes && { sizes: subsetSizes }) });
    }
    await this.#settle();
    if (needsControl(this.#judgement())) {
      await this.#race("controls", scaleCandidates(layers));
      await this.#settle();
    }
    this.#finish();
  }

  /** The answer from what is complete. */
  outcome(): SearchOutcome {
    const stoppedIn = this.#finished ? null : this.#stage;
    const all = this.#scorer.groups.map((_, sample) => sample);
    const isFirst = stoppedIn === "boundary";
    if (!isFirst && !this.#finished) this.#book.forget(this.#stageCandidates);
    const samples = isFirst ? this.#book.sharedSamples() : all;
    const conclusion = isFirst
      ? conclude(tableOfSamples(this.#book.table(), samples), this.#judging)
      : concludeFrom(this.#judgement(), this.#judging);
    return { strategy: this.#strategy, subset: this.#subset, samples, stoppedIn, ...conclusion };
  }

  /** Null where fewer than two independent samples are complete. */
  partial(): SearchOutcome | null {
    return this.#canJudge() ? this.outcome() : null;
  }

  /** Later stages begin when all candidates of the first are complete. */
  #canJudge(): boolean {
    if (this.#stage !== "boundary") return true;
    return new Set(this.#book.sharedSamples().map((sample) => this.#units.ofSample[sample])).size >= 2;
  }

  /** Of all that the book holds; made once for each state of it. */
  #judgement(): Judgement {
    const { version } = this.#book;
    if (this.#judged?.version !== version) {
      this.#judged = { version, judgement: judge(this.#book.table(), this.#judging) };
    }
    return this.#judged.judgement;
  }

  async #race(stage: SearchProgress["stage"], candidates: readonly Candidate[], batches?: readonly number[]) {
    const { margin, confidence, force } = completeJudgeOptions(this.#judging);
    // Where nothing but better counts, nothing else needs to stay.
    const strict = this.#judging.goal === "quality" || stage === "controls" || force;
    const isProven = () => choose(this.#judgement(), "economy") !== null;
    const compareWith = stage === "controls" ? this.#rivalOfControls() : undefined;
    const all = batches ?? this.#scorer.batches.map((_, batch) => batch);
    this.#begin(stage, candidates, this.#scorer.cost(candidates, all));
    await race(this.#book, candidates, {
      strategy: this.#strategy,
      units: this.#units,
      margin: strict ? 0 : margin,
      confidence,
      ...(compareWith && { compareWith }),
      ...(!strict && { isProven }),
      batches: all,
      onBatch: (alive, left) => {
        this.#total = this.#done + this.#scorer.cost(alive, left);
      },
    });
  }

  /** Who left the race is completed where the choice hangs on what it adds to the critical value. */
  async #settle(): Promise<void> {
    if (this.#strategy !== "race") return;
    for (const step of SETTLING_STEPS) {
      if (!isClose(this.#judgement(), this.#goal, step.doubt)) return;
      const candidates = toComplete(this.#book.left(), this.#scorer.coveredLayers, step);
      this.#begin("settle", [], this.#scorer.cost(candidates));
      for (const batch of this.#scorer.batches.keys()) await this.#book.score(candidates, batch);
      for (const candidate of candidates) this.#book.readmit(candidate);
    }
  }

  /** The cut whose gain a control may explain; the full adapter where what is chosen is no better. */
  #rivalOfControls(): Candidate | undefined {
    const { candidates } = this.#judgement();
    const chosen = choose(this.#judgement(), this.#goal);
    return (chosen?.verdict === "better" ? chosen : candidates.find(({ role }) => role === "full"))?.candidate;
  }

  get #goal(): Goal {
    return this.#judging.goal ?? "economy";
  }

  #begin(stage: SearchProgress["stage"], candidates: readonly Candidate[], total: number): void {
    this.#stage = stage;
    this.#stageCandidates = candidates;
    this.#done = 0;
    this.#total = total;
    this.#report();
  }

  #finish(): void {
    this.#finished = true;
  }

  #report(): void {
    const total = Math.max(this.#done, this.#total);
    this.#options.onProgress?.({ stage: this.#stage, done: this.#done, total });
  }
}
