import type { Sample } from "../data/sample.js";
import { UsageError } from "../errors.js";
import { requireUnchanged } from "../gguf/file-state.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { Answer, GenerateOptions, GeneratorOptions, Prompt } from "../generation/types.js";
import type { Candidate, NamedScales } from "../lora/candidate.js";
import { partOf, placeOf, type Part } from "../lora/lora-pair.js";
import type { NativeAdapter, NativeModel, NativeAddon } from "../native/types.js";
import { Generator } from "./generator.js";
import { Owned } from "./lifetime.js";
import type { Model } from "./model.js";
import { nativeJob, type JobOptions } from "./native-job.js";
import { ScoreSession } from "./score-session.js";
import type { ScoreSessionOptions, SessionScoreOptions } from "./session-types.js";

export interface LoadAdapterOptions extends JobOptions {
  /** While `hf:owner/name[/file]` is downloaded: bytes on disk, and in all of the file. */
  readonly onDownload?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /**
   * What a pair adds to its matrix product is computed in one node of the graph in place of llama.cpp's three: the same function,
   * in other roundings and in less time. For models that are on the CPU alone. Default there: true, unless `rankMultiple` is given.
   */
  readonly fusedLora?: boolean | undefined;
  /**
   * Ranks are padded with zeros to a multiple of this: the same function, in other roundings and on the CPU in less time; with
   * `fusedLora` those of experts only. Default: 16 on the CPU, else 1, which leaves every bit as it is.
   */
  readonly rankMultiple?: number | undefined;
  /**
   * What has a strength of its own: a layer (default), or `module`: the attention pairs and the feed-forward pairs of each
   * layer.
   */
  readonly per?: "layer" | "module" | undefined;
}

export interface AdapterGenerateOptions extends GeneratorOptions, GenerateOptions {
  /** Who answers. */
  readonly candidate?: NamedScales | undefined;
  /** Several, one after another, in place of `candidate`. */
  readonly candidates?: readonly NamedScales[] | undefined;
}

export const PER: readonly ("layer" | "module")[] = ["layer", "module"];

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
  readonly fusedLora: boolean;
  readonly per: "layer" | "module";
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
  /** Whether what a pair adds is one node. */
  readonly fusedLora: boolean;
  /** What has a strength of its own. */
  readonly per: "layer" | "module";
  readonly #fileState: string;

  /** @internal */
  constructor(model: Model, native: NativeAdapter, loaded: LoadedFile, parent: NativeParent) {
    super(model);
    const { file, state, rankMultiple, fusedLora, per } = loaded;
    this.label = `adapter ${file.path}`;
    this.model = model;
    this.file = file;
    this.rankMultiple = rankMultiple;
    this.fusedLora = fusedLora;
    this.per = per;
    this.#fileState = state;
    this.#native = native;
    this.#parent = parent;
  }

  get path(): string {
    return this.file.path;
  }

  /** Parts of each layer that have a strength of their own. */
  get partsPerLayer(): 1 | 2 {
    return this.per === "module" ? 2 : 1;
  }

  /** What a subset search may drop, from the lowest up: covered layers, or those halves of them that have pairs. */
  get units(): readonly { readonly layer: number; readonly part: Part | null }[] {
    const { pairs, layers } = this.file;
    if (this.per === "layer") return layers.map((layer) => ({ layer, part: null }));
    return layers.flatMap((layer): readonly { readonly layer: number; readonly part: Part | null }[] => {
      const parts = new Set(pairs.filter((pair) => pair.layer === layer).map(({ module }) => partOf(module)));
      // Where a layer has one half only, that half is the layer.
      if (parts.size === 1) return [{ layer, part: null }];
      return (["attention", "ffn"] as const).map((part) => ({ layer, part }));
    });
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

  /**
   * Prepares candidates' answers to prompts; nothing is allocated before the first.
   *
   * @throws UsageError GENERATE_OPTION, PROMPTS_EMPTY, PROMPT_TOKEN; InputError PROMPT_EMPTY, PROMPT_TOO_LONG
   */
  openGenerator(prompts: readonly Prompt[], options: GeneratorOptions = {}): Generator {
    this.requireOpen();
    return new Generator(this, { ...this.#parent, adapter: this.#native }, prompts, options);
  }

  /**
   * Lets candidates answer prompts.
   *
   * @returns per candidate, in their order, an answer per prompt
   * @throws as `openGenerator` and `Generator.generate`
   */
  async generate(
    prompts: readonly Prompt[],
    { candidate, candidates, ...options }: AdapterGenerateOptions,
  ): Promise<readonly (readonly Answer[])[]> {
    const chosen = candidates ?? (candidate === undefined ? [] : [candidate]);
    if (chosen.length === 0) {
      throw new UsageError(
        "GENERATE_OPTION",
        "Expected a candidate for `candidate` or `candidates` but received none.",
      );
    }
    await using generator = this.openGenerator(prompts, options);
    return await generator.generate(chosen, options);
  }

  /** @internal Another copy with the ranks of the file, for comparing bits; the caller disposes of it. */
  async exactCopy(signal?: AbortSignal): Promise<NativeAdapter> {
    await requireUnchanged(this.path, this.#fileState);
    return await loadParts(
      this.#parent,
      this.file,
      { layers: this.model.layers, rankMultiple: 1, fusedLora: false, per: this.per },
      { signal },
    );
  }

  protected override release(): void {
    this.#native.dispose();
  }
}

/** How a file is cut into parts. */
export interface Parting {
  /** L, of the model. */
  readonly layers: number;
  readonly rankMultiple: number;
  readonly fusedLora: boolean;
  readonly per: "layer" | "module";
}

/** Loads a file as one or two parts per layer. */
export function loadParts(
  { addon, model }: NativeParent,
  file: AdapterFile,
  { layers, rankMultiple, fusedLora, per }: Parting,
  options: JobOptions,
): Promise<NativeAdapter> {
  const partsPerLayer = per === "module" ? 2 : 1;
  const parts = partOfTensor(file, layers, partsPerLayer);
  const { path } = file;
  return nativeJob(
    addon,
    (control) =>
      addon.loadAdapter({ model, path, partOfTensor: parts, partsPerLayer, rankMultiple, fusedLora, control }),
    options,
  );
}

/**
 * Where each tensor of the file goes: 0 below the layers, from 1 on the parts of the layers (of two, the attention pairs come
 * first), the last above them, -1 nowhere (norms).
 */
export function partOfTensor(file: AdapterFile, layers: number, partsPerLayer: 1 | 2 = 1): Int32Array {
  const paired = new Set(file.pairs.flatMap(({ a, b }) => [a, b]));
  return Int32Array.from(file.gguf.tensors, (tensor) => {
    if (!paired.has(tensor)) return -1;
    const { place, layer, module } = placeOf(tensor.name.replace(/\.lora_[ab]$/, ""));
    if (layer !== null) return 1 + layer * partsPerLayer + (partsPerLayer === 2 && partOf(module) === "ffn" ? 1 : 0);
    return place === "input" ? 0 : layers * partsPerLayer + 1;
  });
}
