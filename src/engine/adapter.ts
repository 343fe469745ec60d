import type { Sample } from "../data/sample.js";
import { requireUnchanged } from "../gguf/file-state.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Candidate } from "../lora/candidate.js";
import { placeOf } from "../lora/lora-pair.js";
import type { NativeAdapter, NativeModel, NativeAddon } from "../native/types.js";
import { Owned } from "./lifetime.js";
import type { Model } from "./model.js";
import { nativeJob, type JobOptions } from "./native-job.js";
import { ScoreSession } from "./score-session.js";
import type { ScoreSessionOptions, SessionScoreOptions } from "./session-types.js";

export interface LoadAdapterOptions extends JobOptions {
  /** While `hf:owner/name[/file]` is downloaded: bytes on disk, and in all of the file. */
  readonly onDownload?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /**
   * Ranks are padded with zeros to a multiple of this: the same function, in other roundings and on the CPU in less time.
   * Default: 16 on the CPU, else 1, which leaves every bit as it is.
   */
  readonly rankMultiple?: number | undefined;
}

/** The CPU's matrix kernels need rows of 16; a GPU gains nothing. */
export const CPU_RANK_MULTIPLE = 16;

/** The native objects that an adapter is made of; never leaves engine/. */
interface NativeParent {
  readonly addon: NativeAddon;
  readonly model: NativeModel;
}

/** What was loaded, and how. */
interface LoadedFile {
  readonly file: AdapterFile;
  /** Of the file before it was read. */
  readonly state: string;
  readonly rankMultiple: number;
}

/** A loaded adapter whose layers have strengths of their own. Made by `Model.loadAdapter`. */
export class Adapter extends Owned {
  readonly model: Model;
  readonly file: AdapterFile;
  protected readonly label: string;
  readonly #native: NativeAdapter;
  readonly #parent: NativeParent;
  /** What its ranks were padded to a multiple of; 1: not at all. */
  readonly rankMultiple: number;
  readonly #fileState: string;

  /** @internal */
  constructor(model: Model, native: NativeAdapter, loaded: LoadedFile, parent: NativeParent) {
    super(model);
    const { file, state, rankMultiple } = loaded;
    this.label = `adapter ${file.path}`;
    this.model = model;
    this.file = file;
    this.rankMultiple = rankMultiple;
    this.#fileState = state;
    this.#native = native;
    this.#parent = parent;
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
    return new ScoreSession(this, { ...this.#parent, adapter: this.#native }, samples, options);
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

  /** @internal Another copy with the ranks of the file, for comparing bits; the caller disposes of it. */
  async exactCopy(signal?: AbortSignal): Promise<NativeAdapter> {
    await requireUnchanged(this.path, this.#fileState);
    return await loadParts(this.#parent, this.file, this.model.layers, 1, { signal });
  }

  protected override release(): void {
    this.#native.dispose();
  }
}

/** Loads a file as one part per layer. */
export function loadParts(
  { addon, model }: NativeParent,
  file: AdapterFile,
  layers: number,
  rankMultiple: number,
  options: JobOptions,
): Promise<NativeAdapter> {
  const parts = partOfTensor(file, layers);
  const { path } = file;
  return nativeJob(
    addon,
    (control) => addon.loadAdapter({ model, path, partOfTensor: parts, rankMultiple, control }),
    options,
  );
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
