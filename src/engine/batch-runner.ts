import type { Sample } from "../data/sample.js";
import { CancelledError } from "../errors.js";
import type {
  NativeAdapter,
  NativeAddon,
  NativeLensResult,
  NativeModel,
  NativeRunResult,
  NativeScorer,
  NativeShape,
} from "../native/types.js";
import { nativeJob } from "./native-job.js";

/** The native objects behind a session; they never leave engine/. */
export interface NativeHandles {
  readonly addon: NativeAddon;
  readonly model: NativeModel;
  readonly adapter: NativeAdapter;
}

export interface Run {
  /** One per part of the adapter. */
  readonly strengths: Float32Array;
  /** Default: the session's. */
  readonly adapter?: NativeAdapter;
  /** The layer to start from, where a state is kept; default 0: from the tokens. */
  readonly resumeAt?: number;
  /** Layers, above `resumeAt`, below which to keep the state. Default: none. */
  readonly keepAt?: readonly number[];
  /** See `NativeRun.logits`; default: only the loss. */
  readonly logits?: "keep" | "compare" | "divergence";
}

/** Carries out runs on one packed batch after another, in a context made when it is first needed. */
export class BatchRunner {
  nativeSeconds = 0;
  copySeconds = 0;
  /** Where the loss is computed; null before `open`. */
  loss: "graph" | "host" | null = null;
  readonly notices: string[] = [];
  readonly #handles: NativeHandles;
  readonly #shape: NativeShape;
  readonly #shares: boolean;
  #scorer: NativeScorer | null = null;
  #closed = false;

  /** @param shares prompts that begin alike are computed once */
  constructor(handles: NativeHandles, shape: NativeShape, shares: boolean) {
    this.#handles = handles;
    this.#shape = shape;
    this.#shares = shares;
  }

  get isOpen(): boolean {
    return this.#scorer !== null;
  }

  async open(signal: AbortSignal | undefined): Promise<void> {
    const { addon, model } = this.#handles;
    if (this.#scorer !== null) return;
    this.#scorer = await nativeJob(addon, () => addon.createScorer({ ...this.#shape, model }), { signal });
    this.loss = this.#scorer.lossInGraph() ? "graph" : "host";
    if (this.loss === "host" && this.#shape.lossInGraph) {
      this.notices.push(
        "The device lacks an operation that the loss needs, so logits are copied to the host and summed there: same scores, more time.",
      );
    }
  }

  /** Packs samples side by side; kept states are forgotten. */
  setBatch(samples: readonly Sample[]): void {
    const offsets = new Int32Array(samples.length + 1);
    for (const [index, { tokens }] of samples.entries()) offsets[index + 1] = (offsets[index] ?? 0) + tokens.length;
    const tokens = new Int32Array(offsets.at(-1) ?? 0);
    const scored = new Uint8Array(tokens.length);
    for (const [index, sample] of samples.entries()) {
      tokens.set(sample.tokens, offsets[index]);
      scored.set(sample.scored, offsets[index]);
    }
    this.#opened().setBatch({ tokens, offsets, scored, shared: this.#shares });
  }

  /** [L], names of the tensors that cross the border below layer k; empty where no run can resume, as at 0. */
  async borders(strengths: Float32Array, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const { addon, adapter } = this.#handles;
    const scorer = this.#opened();
    return await nativeJob(addon, (control) => scorer.borders({ adapter, strengths, control }), { signal });
  }

  async run(run: Run, signal: AbortSignal | undefined): Promise<NativeRunResult> {
    const { addon, adapter } = this.#handles;
    const { strengths, resumeAt = 0, logits = "none" } = run;
    const keepAt = Int32Array.from(run.keepAt ?? []);
    const scorer = this.#opened();
    const result = await nativeJob(
      addon,
      (control) => scorer.run({ adapter: run.adapter ?? adapter, strengths, resumeAt, keepAt, logits, control }),
      { signal },
    );
    this.nativeSeconds += result.seconds;
    this.copySeconds += result.copySeconds;
    return result;
  }

  /** See {@link NativeScorer.lens}. */
  async lens(strengths: Float32Array, signal: AbortSignal | undefined): Promise<NativeLensResult> {
    const { addon, adapter } = this.#handles;
    const scorer = this.#opened();
    return await nativeJob(addon, (control) => scorer.lens({ adapter, strengths, control }), { signal });
  }

  close(): void {
    this.#closed = true;
    this.#scorer?.dispose();
    this.#scorer = null;
  }

  #opened(): NativeScorer {
    if (this.#scorer === null || this.#closed) throw new CancelledError("The scoring session was closed.");
    return this.#scorer;
  }
}
