import type { NativeOpening } from "../native/types.js";
import { sharedLayers } from "./scale-trie.js";
import type { StepLimits } from "./step-plan.js";

/** Sequences that llama.cpp holds in one context. */
const MOST_SEQUENCES = 256;

/** What a candidate's opening starts from. */
export interface OpeningPlan {
  /** The layer that it starts from; 0: from the tokens. */
  readonly resumeAt: number;
  readonly keepAt: Int32Array;
  /** Layers whose states stay, up to `resumeAt`. */
  readonly stays: readonly number[];
}

interface Shape {
  /** L, of the model. */
  readonly layers: number;
  readonly partsPerLayer: number;
  /** Numbers in a layer's output, per token. */
  readonly embedding: number;
  /** That prompts may take beside the answers. */
  readonly mostBytes: number;
}

/**
 * The prompts of a generator, computed for every candidate before it writes, always in the same batches. Candidates whose
 * lowest layers have the strengths of the one before take over what those computed, as scoring does.
 */
export class PromptOpening {
  readonly #prompts: readonly Int32Array[];
  readonly #firstSlot: number;
  readonly #limits: StepLimits;
  readonly #shape: Shape;
  /** Of the last opening; null: none is in memory. */
  #strengths: Float32Array | null = null;
  /** Layers below which its states are kept, ascending. */
  #kept: readonly number[] = [];

  /** @param firstSlot of the slots that hold the prompts, behind those for answers */
  constructor(prompts: readonly Int32Array[], firstSlot: number, limits: StepLimits, shape: Shape) {
    this.#prompts = prompts;
    this.#firstSlot = firstSlot;
    this.#limits = limits;
    this.#shape = shape;
  }

  /** Whether there is room for the prompts beside the answers. */
  get fits(): boolean {
    return (
      this.#firstSlot + this.#prompts.length <= MOST_SEQUENCES &&
      this.#mostStates > 0 &&
      this.#prompts.every(({ length }) => length <= this.#limits.batchTokens)
    );
  }

  get tokens(): number {
    return this.#prompts.reduce((sum, { length }) => sum + length, 0);
  }

  /** Borders at which states may be kept; what the layers remember of the prompts, 16 bits a number, comes first. */
  get #mostStates(): number {
    const { layers, embedding, mostBytes } = this.#shape;
    const numbers = this.tokens * embedding;
    const memory = 2 * layers * numbers * Uint16Array.BYTES_PER_ELEMENT;
    return Math.floor((mostBytes - memory) / (numbers * Float32Array.BYTES_PER_ELEMENT));
  }

  /** Batches that it takes. */
  get batches(): number {
    return this.native().batches.length - 1;
  }

  slotOf(prompt: number): number {
    return this.#firstSlot + prompt;
  }

  native(): NativeOpening {
    const offsets = [0];
    const batches = [0];
    let batch = 0;
    for (const [index, { length }] of this.#prompts.entries()) {
      const isFull = batch + length > this.#limits.batchTokens || index - (batches.at(-1) ?? 0) >= this.#limits.maxRows;
      if (isFull) batches.push(index);
      batch = (isFull ? 0 : batch) + length;
      offsets.push((offsets.at(-1) ?? 0) + length);
    }
    const tokens = new Int32Array(this.tokens);
    for (const [index, prompt] of this.#prompts.entries()) tokens.set(prompt, offsets[index]);
    return {
      slots: Int32Array.from(this.#prompts, (_, prompt) => this.slotOf(prompt)),
      offsets: Int32Array.from(offsets),
      tokens,
      batches: Int32Array.from([...batches, this.#prompts.length]),
    };
  }

  /** Takes the highest border that is kept below what differs from the candidate before, and keeps those above. */
  plan(strengths: Float32Array): OpeningPlan {
    const { layers, partsPerLayer } = this.#shape;
    const shared = this.#strengths === null ? 0 : sharedLayers(this.#strengths, strengths, partsPerLayer);
    const stays = this.#kept.filter((layer) => layer <= shared);
    const resumeAt = stays.at(-1) ?? 0;
    const every = Math.ceil((layers - 1) / Math.min(layers - 1, this.#mostStates));
    const all = Array.from({ length: layers - 1 }, (_, index) => index + 1);
    return { resumeAt, keepAt: Int32Array.from(all.filter((layer) => layer > resumeAt && layer % every === 0)), stays };
  }

  /** @param kept as the opening told it */
  done(strengths: Float32Array, { stays }: OpeningPlan, kept: Int32Array): void {
    this.#strengths = strengths;
    this.#kept = [...stays, ...kept];
  }

  /** Nothing is in memory any more. */
  forget(): void {
    this.#strengths = null;
    this.#kept = [];
  }
}
