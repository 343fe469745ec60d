import type { Sample } from "../data/sample.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Candidate } from "../lora/candidate.js";
import { placeOf } from "../lora/lora-pair.js";
import type { NativeAdapter, NativeAddon, NativeModel } from "../native/types.js";
import { Owned } from "./lifetime.js";
import type { Model } from "./model.js";
import { ScoreSession, type ScoreSessionOptions, type SessionScoreOptions } from "./score-session.js";

/** The native objects behind a session; never leaves engine/. */
export interface NativeHandles {
  readonly addon: NativeAddon;
  readonly model: NativeModel;
}

/** A loaded adapter whose layers have strengths of their own. Made by `Model.loadAdapter`. */
export class Adapter extends Owned {
  readonly model: Model;
  readonly file: AdapterFile;
  protected readonly label: string;
  readonly #native: NativeAdapter;
  readonly #handles: NativeHandles;

  /** @internal */
  constructor(model: Model, file: AdapterFile, native: NativeAdapter, handles: NativeHandles) {
    super(model);
    this.label = `adapter ${file.path}`;
    this.model = model;
    this.file = file;
    this.#native = native;
    this.#handles = handles;
  }

  get path(): string {
    return this.file.path;
  }

  /**
   * Packs samples and prepares scoring; nothing is allocated before the first score.
   *
   * @throws UsageError BATCH_TOKENS_RANGE, THREADS_RANGE
   */
  openSession(samples: readonly Sample[], options: ScoreSessionOptions = {}): ScoreSession {
    this.requireOpen();
    return new ScoreSession(this, { ...this.#handles, adapter: this.#native }, samples, options);
  }

  /**
   * Scores candidates on samples: the one question to the engine.
   *
   * @returns per candidate, in their order: mean NLL per scored token of every sample, nats
   * @throws MemoryError, BackendError, CancelledError
   */
  async score(
    samples: readonly Sample[],
    candidates: readonly Candidate[],
    options: ScoreSessionOptions & SessionScoreOptions = {},
  ): Promise<readonly Float64Array[]> {
    await using session = this.openSession(samples, options);
    return await session.score(candidates, options);
  }

  protected override release(): void {
    this.#native.dispose();
  }
}

/** Where each tensor of the file goes: 0 below the layers, l + 1 in layer l, L + 1 above them, -1 nowhere (norms). */
export function partOfTensor(file: AdapterFile, layers: number): Int32Array {
  const paired = new Set(file.pairs.flatMap(({ a, b }) => [a, b]));
  return Int32Array.from(file.gguf.tensors, (tensor) => {
    if (!paired.has(tensor)) return -1;
    const { place, layer } = placeOf(tensor.name);
    if (layer !== null) return layer + 1;
    return place === "input" ? 0 : layers + 1;
  });
}
