import type { Choice } from "./writing-answer.js";
import type {
  NativeAdapter,
  NativeAddon,
  NativeGenerator,
  NativeGeneratorShape,
  NativeModel,
  NativeStepResult,
} from "../native/types.js";
import { nativeJob } from "./native-job.js";
import type { PromptOpening } from "./prompt-opening.js";
import type { SlotShare } from "./step-plan.js";

/** What became of a slot's share. */
export interface SlotOutcome {
  readonly choices: readonly Choice[];
  /** The slot is empty now: its memory could not be rolled back behind wrong drafts. */
  readonly lost: boolean;
}

/** Carries out steps in a context that is made when it is first needed. */
export class StepRunner {
  readonly #handles: { readonly addon: NativeAddon; readonly model: NativeModel; readonly adapter: NativeAdapter };
  readonly #shape: NativeGeneratorShape;
  readonly #opening: PromptOpening | null;
  #generator: NativeGenerator | null = null;

  constructor(
    handles: { readonly addon: NativeAddon; readonly model: NativeModel; readonly adapter: NativeAdapter },
    shape: Omit<NativeGeneratorShape, "resumes">,
    opening: PromptOpening | null,
  ) {
    this.#handles = handles;
    this.#shape = { ...shape, resumes: opening !== null };
    this.#opening = opening;
  }

  async open(signal: AbortSignal | undefined): Promise<NativeGenerator> {
    const { addon, model } = this.#handles;
    if (this.#generator !== null) return this.#generator;
    this.#generator = await nativeJob(addon, () => addon.createGenerator({ ...this.#shape, model }), { signal });
    if (this.#opening !== null) this.#generator.setOpening(this.#opening.native());
    return this.#generator;
  }

  /** @param strengths one per part of the adapter; all slots are empty afterwards */
  async setStrengths(strengths: Float32Array, signal: AbortSignal | undefined): Promise<NativeGenerator> {
    const generator = await this.open(signal);
    const adapter = strengths.some((strength) => strength !== 0) ? this.#handles.adapter : null;
    generator.setStrengths({ adapter, strengths });
    return generator;
  }

  /**
   * Computes the prompts under the strengths that were just set, as far as those before did not.
   *
   * @returns per prompt, in their order
   * @throws BackendError REPLAY_FAILED
   */
  async openPrompts(
    opening: PromptOpening,
    strengths: Float32Array,
    signal: AbortSignal | undefined,
  ): Promise<readonly SlotOutcome[]> {
    const { addon } = this.#handles;
    const generator = await this.open(signal);
    const plan = opening.plan(strengths);
    // What an opening that fails leaves behind is of no use.
    opening.forget();
    const result = await nativeJob(addon, (control) => generator.open({ ...plan, control }), { signal });
    opening.done(strengths, plan, result.kept);
    return outcomesOf(result);
  }

  /** @returns per share, in their order */
  async step(shares: readonly SlotShare[], signal: AbortSignal | undefined): Promise<readonly SlotOutcome[]> {
    const { addon } = this.#handles;
    const generator = await this.open(signal);
    const slots = Int32Array.from(shares, ({ answer }) => answer.slot);
    const drafts = Int32Array.from(shares, (share) => share.drafts?.length ?? -1);
    const offsets = new Int32Array(shares.length + 1);
    for (const [index, share] of shares.entries()) {
      offsets[index + 1] = (offsets[index] ?? 0) + share.tokens.length + (share.drafts?.length ?? 0);
    }
    const tokens = new Int32Array(offsets.at(-1) ?? 0);
    for (const [index, share] of shares.entries()) {
      const at = offsets[index] ?? 0;
      tokens.set(share.tokens, at);
      if (share.drafts !== null) tokens.set(share.drafts, at + share.tokens.length);
    }
    const result = await nativeJob(addon, (control) => generator.step({ slots, offsets, tokens, drafts, control }), {
      signal,
    });
    return outcomesOf(result);
  }

  close(): void {
    this.#generator?.dispose();
    this.#generator = null;
    this.#opening?.forget();
  }
}

function outcomesOf(result: NativeStepResult): readonly SlotOutcome[] {
  let at = 0;
  return Array.from(result.counts, (count, index) => {
    const choices = Array.from({ length: count }, (_, choice) => ({
      token: result.tokens[at + choice] ?? 0,
      runnerUp: result.runnersUp[at + choice] ?? 0,
      margin: result.margins[at + choice] ?? 0,
      ends: choice === count - 1 && result.ended[index] === 1,
    }));
    at += count;
    return { choices, lost: result.lost[index] === 1 };
  });
}
