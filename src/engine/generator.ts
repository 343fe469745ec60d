import { TokenTable } from "../data/token-table.js";
import { BackendError, CancelledError } from "../errors.js";
import { checkGeneratorOptions, type CheckedGeneratorOptions } from "../generation/check-options.js";
import type { PooledAnswer } from "../generation/draft-pool.js";
import { factsOfBoth } from "../generation/facts.js";
import type { Answer, GenerateOptions, GenerationFacts, GeneratorOptions, Prompt } from "../generation/types.js";
import type { NamedScales } from "../lora/candidate.js";
import type { NativeAdapter, NativeAddon, NativeGenerator, NativeModel } from "../native/types.js";
import { defaultThreads } from "./backend.js";
import { strengthsOf } from "./candidate-strengths.js";
import { Owned } from "./lifetime.js";
import type { Model } from "./model.js";
import { preparePrompts, type PreparedPrompt } from "./prepare-prompts.js";
import { PromptOpening } from "./prompt-opening.js";
import type { SessionSource } from "./score-session.js";
import { planStep, type SlotShare } from "./step-plan.js";
import { StepRunner, type SlotOutcome } from "./step-runner.js";
import { WritingAnswer, type Choice } from "./writing-answer.js";

/** More guesses at once are seldom certain to the end. */
const MOST_DRAFTS = 32;
/**
 * What a step costs beside its rows, in rows, on a CPU (`npm run bench -- draft-chances`). A draft costs a row; when it is right it saves one, and a share of a later step:
 * the fewer sequences are left, the more.
 */
const STEP_IN_ROWS = 25;
/** Newest answers to other prompts that drafts are looked for in. */
const MOST_OTHERS = 64;
/** Logits of a step take this many rows of the vocabulary at most, but for one row of each sequence. */
const MOST_ROWS = 256;
const NO_DRAFTS = "This model's memory cannot take tokens back, so answers were written without drafts.";

const NO_TOKENS = new Int32Array();
const NO_RESUME =
  "Prompts were computed from their tokens for every candidate, since a run that resumed between layers failed";

interface WrittenBefore {
  readonly answers: readonly Pick<Answer, "tokens" | "margins">[];
  readonly facts: GenerationFacts;
}

/**
 * Lets candidates write answers to one set of prompts. Sequences join and leave a running batch; a change of strengths empties
 * the memory, so nothing that one candidate computed is read by another. Made by `Adapter.openGenerator`.
 */
export class Generator extends Owned {
  readonly threads: number;
  protected readonly label = "generator";
  readonly #source: SessionSource;
  readonly #options: CheckedGeneratorOptions;
  readonly #prompts: readonly PreparedPrompt[];
  readonly #table: TokenTable;
  readonly #runner: StepRunner;
  readonly #limits: { readonly batchTokens: number; readonly maxRows: number };
  readonly #notices: string[] = [];
  /** Null: each prompt is computed where its answer is written. */
  #opening: PromptOpening | null = null;
  #drafting: boolean;
  #facts = { steps: 0, tokensComputed: 0, tokensWritten: 0, draftsProposed: 0, draftsAccepted: 0, seconds: 0 };

  /** @internal */
  constructor(
    owner: Owned & SessionSource & { readonly model: Model },
    handles: { readonly addon: NativeAddon; readonly model: NativeModel; readonly adapter: NativeAdapter },
    prompts: readonly Prompt[],
    options: GeneratorOptions,
  ) {
    const checked = checkGeneratorOptions(options);
    const prepared = preparePrompts(prompts, owner.model, checked);
    super(owner);
    this.threads = checked.threads ?? defaultThreads();
    this.#source = owner;
    this.#options = checked;
    this.#prompts = prepared;
    this.#table = new TokenTable(owner.model);
    // A recurrent state cannot be taken back, so drafts cannot be either.
    const { isRecurrent, isHybrid } = owner.model.facts;
    this.#drafting = checked.drafts && checked.temperature === 0 && !isRecurrent && !isHybrid;
    const maxSequences = Math.min(checked.sequences, prepared.length);
    const longest = prepared.map(({ tokens, most }) => tokens.length + most).sort((a, b) => b - a);
    const cells = longest.slice(0, maxSequences).reduce((sum, length) => sum + length, 0) + maxSequences * MOST_DRAFTS;
    const batchTokens = Math.min(Math.max(checked.batchTokens, maxSequences), cells);
    this.#limits = { batchTokens, maxRows: Math.min(batchTokens, Math.max(MOST_ROWS, maxSequences)) };
    // On other devices the hook that resumes would be asked about every node of every step.
    const onCpu = owner.model.placement.backend === "CPU";
    if (this.#drafting && onCpu) {
      const tokensOf = prepared.map(({ tokens }) => tokens);
      const { layers, facts } = owner.model;
      const mostBytes = checked.promptMebibytes * 2 ** 20;
      const shape = { layers, partsPerLayer: owner.partsPerLayer, embedding: facts.embedding, mostBytes };
      const opening = new PromptOpening(tokensOf, maxSequences, this.#limits, shape);
      if (opening.fits) this.#opening = opening;
    }
    const opening = this.#opening;
    this.#runner = new StepRunner(
      handles,
      {
        ...this.#limits,
        maxSequences: maxSequences + (opening === null ? 0 : prepared.length),
        // Room for each answer's prompt as well: one that loses its slot starts again from the tokens.
        contextTokens: cells + (opening?.tokens ?? 0),
        threads: this.threads,
        fusedLora: owner.fusedLora,
        ownSums: onCpu,
      },
      opening,
    );
  }

  get facts(): GenerationFacts {
    return { ...this.#facts, notices: [...this.#notices] };
  }

  /** Tokens of each prompt. */
  get promptTokens(): readonly number[] {
    return this.#prompts.map(({ tokens }) => tokens.length);
  }

  /**
   * One candidate after another answers all prompts.
   *
   * @returns per candidate, in their order, an answer per prompt
   * @throws UsageError CANDIDATE_LENGTH, CANDIDATE_SCALE; MemoryError; BackendError; CancelledError
   */
  generate(candidates: readonly NamedScales[], options: GenerateOptions = {}): Promise<readonly (readonly Answer[])[]> {
    return this.enqueue(async () => {
      const start = performance.now();
      try {
        const answers: (readonly Answer[])[] = [];
        for (const candidate of candidates) answers.push(await this.#write(candidate, options));
        return answers;
      } finally {
        this.#facts.seconds += (performance.now() - start) / 1000;
      }
    });
  }

  /**
   * Takes answers that were written before as written here: what follows gets the drafts that it would have got, and the facts
   * are those of both.
   *
   * @param answers of one candidate, one per prompt
   * @param facts of writing them
   */
  recall({ answers, facts }: WrittenBefore): Promise<void> {
    return this.enqueue(() => {
      for (const [prompt, { tokens, margins }] of answers.entries())
        this.#prompt(prompt).pool.add({ tokens, leads: margins });
      const { notices, ...counts } = factsOfBoth(this.facts, facts);
      this.#facts = counts;
      if (notices.includes(NO_DRAFTS)) this.#giveUpDrafts();
      return Promise.resolve();
    });
  }

  /** Gives its memory back until it writes again; what was written stays for drafts. */
  rest(): Promise<void> {
    return this.enqueue(() => {
      this.#runner.close();
      return Promise.resolve();
    });
  }

  protected override release(): void {
    this.#runner.close();
  }

  async #write(candidate: NamedScales, { signal, onToken, onAnswer }: GenerateOptions): Promise<readonly Answer[]> {
    const strengths = strengthsOf(candidate, this.#source);
    const native = await this.#runner.setStrengths(strengths, signal);
    const opened = await this.#openPrompts(strengths, signal);
    const answers = new Map<number, Answer>();
    const free = Array.from({ length: Math.min(this.#options.sequences, this.#prompts.length) }, (_, slot) => slot);
    const waiting = this.#inOrder();
    const writing: WritingAnswer[] = [];
    const others: PooledAnswer[] = [];
    const settle = (answer: WritingAnswer, pieces: readonly string[]) => {
      for (const text of pieces) onToken?.({ candidate: candidate.id, prompt: answer.prompt, text });
      if (!answer.finished) return;
      const done = answer.answer();
      answers.set(answer.prompt, done);
      const pooled = { tokens: done.tokens, leads: done.margins };
      this.#prompt(answer.prompt).pool.add(pooled);
      others.push(pooled);
      this.#facts.tokensWritten += done.tokens.length;
      onAnswer?.(candidate.id, answer.prompt, done);
      native.clear({ slot: answer.slot });
      free.push(answer.slot);
      writing.splice(writing.indexOf(answer), 1);
    };
    while (answers.size < this.#prompts.length) {
      while (free.length > 0 && waiting.length > 0) {
        const prompt = waiting.shift() ?? 0;
        const answer = this.#join(native, prompt, free.shift() ?? 0);
        writing.push(answer);
        const first = opened?.[prompt];
        if (first !== undefined) settle(answer, this.#goOn(native, answer, first));
      }
      if (writing.length === 0) continue;
      const leastChance = writing.length / (writing.length + STEP_IN_ROWS);
      const newest = others.slice(-MOST_OTHERS);
      const shares = planStep(writing, this.#limits, ({ prompt, written }, room) => {
        if (!this.#drafting) return NO_TOKENS;
        return this.#prompt(prompt).pool.propose(written, { most: Math.min(room, MOST_DRAFTS), leastChance }, newest);
      });
      const outcomes = await this.#runner.step(shares, signal);
      this.#facts.steps += 1;
      for (const [index, share] of shares.entries()) {
        settle(share.answer, this.#take(share, outcomes[index]));
      }
    }
    return this.#prompts.map((_, index) => answers.get(index) ?? failed());
  }

  /** The prompts; those that will take most steps first, as far as drafts tell, so that none of them is left alone at the end. */
  #inOrder(): number[] {
    const expected = (prompt: number) => (this.#drafting ? this.#prompt(prompt).pool.expectedMisses : 0);
    return Array.from(this.#prompts.keys()).sort((first, second) => expected(second) - expected(first));
  }

  /** @returns what each prompt chooses; null where prompts are not opened */
  async #openPrompts(strengths: Float32Array, signal: AbortSignal | undefined) {
    const opening = this.#opening;
    if (opening === null) return null;
    try {
      const outcomes = await this.#runner.openPrompts(opening, strengths, signal);
      this.#facts.steps += opening.batches;
      // In full: what an earlier candidate left to resume from must not show in the facts of a run that was interrupted.
      this.#facts.tokensComputed += opening.tokens;
      return outcomes;
    } catch (error) {
      if (!(error instanceof BackendError) || error.code !== "REPLAY_FAILED") throw error;
      this.#opening = null;
      this.#notices.push(`${NO_RESUME}: ${error.message}`);
      return null;
    }
  }

  /** From where its prompt was opened. */
  #goOn(native: NativeGenerator, answer: WritingAnswer, { choices }: SlotOutcome): string[] {
    native.copy({ from: (this.#opening ?? failed()).slotOf(answer.prompt), to: answer.slot });
    answer.fed = this.#prompt(answer.prompt).tokens.length;
    return push(answer, choices);
  }

  #join(native: NativeGenerator, prompt: number, slot: number): WritingAnswer {
    const { tokens, most, seed } = this.#prompt(prompt);
    const { temperature, topP, stop } = this.#options;
    native.start({ slot, temperature, topP, seed });
    const spell = (token: number) => (this.#table.isControl(token) ? new Uint8Array() : this.#table.bytes(token));
    return new WritingAnswer({ prompt, slot }, tokens, most, stop, spell);
  }

  /** @returns pieces of text that are certain now */
  #take({ answer, tokens, drafts }: SlotShare, { choices, lost }: SlotOutcome = failed()): string[] {
    const proposed = drafts?.length ?? 0;
    const accepted = Math.max(0, choices.length - 1);
    this.#facts.tokensComputed += tokens.length + proposed;
    this.#facts.draftsProposed += proposed;
    this.#facts.draftsAccepted += accepted;
    answer.fed = lost ? 0 : answer.fed + tokens.length + accepted;
    if (lost) this.#giveUpDrafts();
    return push(answer, choices);
  }

  #giveUpDrafts(): void {
    if (!this.#drafting) return;
    this.#drafting = false;
    this.#notices.push(NO_DRAFTS);
  }

  #prompt(index: number): PreparedPrompt {
    return this.#prompts[index] ?? failed();
  }
}

/** @returns pieces of text that are certain now */
function push(answer: WritingAnswer, choices: readonly Choice[]): string[] {
  const pieces: string[] = [];
  for (const choice of choices) {
    // A stop string may lie before the last of the drafts.
    if (answer.finished) break;
    const text = answer.push(choice);
    if (text !== "") pieces.push(text);
  }
  return pieces;
}

function failed(): never {
  throw new CancelledError("The generator was closed.");
}
