import type { Tokenizer } from "../data/tokenizer.js";
import { InputError, UsageError } from "../errors.js";
import { fileState } from "../gguf/file-state.js";
import { localPathOf } from "../hub/local-path.js";
import { readAdapter } from "../lora/adapter-file.js";
import { requireSoundValues } from "../lora/adapter-values.js";
import { requireCompatible } from "../lora/compatibility.js";
import { readModel, type ModelFile } from "../lora/model-file.js";
import { loadAddon } from "../native/binding.js";
import type { NativeAddon, NativeModel, NativeModelFacts } from "../native/types.js";
import { adapterPathOf } from "../peft/adapter-path.js";
import { Adapter, CPU_RANK_MULTIPLE, loadParts, PER, type LoadAdapterOptions } from "./adapter.js";
import { nativePlacement, placeModel, type DeviceOptions, type Placement } from "./devices.js";
import { hostMemory } from "./host-memory.js";
import { Owned } from "./lifetime.js";
import { requireModelFits } from "./model-fit.js";
import { fromNative, nativeJob, type JobOptions } from "./native-job.js";
import { SpeedProbe, type SpeedProbeOptions } from "./speed-probe.js";

export interface LoadModelOptions extends JobOptions, DeviceOptions {
  /** While `hf:owner/name[/file]` is downloaded: bytes on disk, and in all of the file. */
  readonly onDownload?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Loads a base model; of a split one give the first part, of one on the hub `hf:owner/name[/file]`. Headers are checked before llama.cpp sees the file.
 *
 * @throws InputError as `readModel`, and MODEL_KIND for encoder-decoder, embedding-only and diffusion models
 * @throws BackendError ADDON_MISSING, ADDON_FAILED, GPU_MISSING, GPU_FAILED, RPC_MISSING, SERVER_UNREACHABLE, SERVER_GONE,
 *   MODEL_LOAD; UsageError as `placeModel`; CancelledError
 * @throws MemoryError MODEL_TOO_LARGE before anything is loaded
 */
export async function loadModel(reference: string, options: LoadModelOptions = {}): Promise<Model> {
  const path = await localPathOf(reference, { signal: options.signal, onProgress: options.onDownload });
  const file = await readModel(path);
  const addon = await loadAddon();
  const placed = await placeModel(addon, options, options.signal);
  const tight = requireModelFits(file, placed, addon.devices(), hostMemory());
  const notices = [placed.notice, tight].filter((notice) => notice !== null);
  const placement = { ...placed, notice: notices.length === 0 ? null : notices.join(" ") };
  const place = nativePlacement(placement);
  const start = performance.now();
  const native = await nativeJob(addon, (control) => addon.loadModel({ ...place, path, control }), options);
  const model = new Model(addon, native, file, placement, (performance.now() - start) / 1000);
  try {
    requireCausal(model);
  } catch (error) {
    await model.dispose();
    throw error;
  }
  return model;
}

/** A loaded base model: tokenizer, facts, and the door to its adapters. Made by `loadModel`. */
export class Model extends Owned implements Tokenizer {
  readonly file: ModelFile;
  readonly facts: NativeModelFacts;
  readonly placement: Placement;
  /** What llama.cpp took to load it; a file that was read before is loaded from the system's cache. */
  readonly loadSeconds: number;
  readonly #addon: NativeAddon;
  readonly #native: NativeModel;
  protected readonly label: string;

  /** @internal */
  constructor(addon: NativeAddon, native: NativeModel, file: ModelFile, placement: Placement, loadSeconds: number) {
    super(null);
    this.label = `model ${file.path}`;
    this.file = file;
    this.placement = placement;
    this.loadSeconds = loadSeconds;
    this.facts = native.facts();
    this.#addon = addon;
    this.#native = native;
  }

  get path(): string {
    return this.file.path;
  }
  /** L, the number of layers. */
  get layers(): number {
    return this.facts.layers;
  }
  get bos(): number | null {
    return this.facts.bos;
  }
  get eos(): number | null {
    return this.facts.eos;
  }
  get eot(): number | null {
    return this.facts.eot;
  }
  get addBos(): boolean {
    return this.facts.addBos;
  }
  get chatTemplate(): string | null {
    return this.facts.chatTemplate;
  }
  get trainedContext(): number {
    return this.facts.trainedContext;
  }

  /** @throws InputError MODEL_NO_TOKENIZER */
  tokenize(text: string, options: { readonly addSpecial?: boolean; readonly parseSpecial?: boolean } = {}): Int32Array {
    this.requireOpen();
    if (!this.facts.hasTokenizer) {
      throw new InputError("MODEL_NO_TOKENIZER", `${this.path}: The model has no tokenizer, so it cannot read text.`);
    }
    return this.#call(() => this.#native.tokenize(text, options.addSpecial ?? false, options.parseSpecial ?? false));
  }

  tokenBytes(token: number): Uint8Array {
    return this.#call(() => this.#native.tokenBytes(token));
  }

  isControl(token: number): boolean {
    return this.#call(() => this.#native.isControl(token));
  }

  /**
   * Loads a LoRA adapter as one part per layer (two with `per: "module"`), so that each has a strength of its own.
   *
   * @throws InputError PEFT_* for a folder that cannot be converted; as `readAdapter`, `requireCompatible` and `requireSoundValues`
   * @throws BackendError ADAPTER_LOAD, TEMPORARY_FILE; MemoryError; CancelledError
   */
  async loadAdapter(path: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
    this.requireOpen();
    const onCpu = this.placement.backend === "CPU";
    const { rankMultiple = onCpu ? CPU_RANK_MULTIPLE : 1, per = "layer" } = options;
    const { fusedLora = onCpu && options.rankMultiple === undefined } = options;
    if (fusedLora && !onCpu) {
      throw new UsageError(
        "FUSED_LORA_DEVICE",
        `\`fusedLora\` is for models on the CPU, and this one is on ${this.placement.backend}. Leave it out.`,
      );
    }
    if (!PER.includes(per)) {
      throw new UsageError(
        "PER_RANGE",
        `Expected one of ${PER.join(", ")} for \`per\` but received ${per as string}.`,
        {
          details: { option: "per" },
        },
      );
    }
    if (!Number.isInteger(rankMultiple) || rankMultiple < 1 || rankMultiple > 1024) {
      throw new UsageError(
        "RANK_MULTIPLE_RANGE",
        `Expected an integer from 1 to 1024 for \`rankMultiple\` but received ${rankMultiple}.`,
      );
    }
    const source = await adapterPathOf(path, this.file, { signal: options.signal, onDownload: options.onDownload });
    const file = await readAdapter(source);
    const state = await fileState(source);
    requireCompatible(this.file, file);
    await requireSoundValues(file, { signal: options.signal });
    const parent = { addon: this.#addon, model: this.#native };
    const native = await loadParts(parent, file, { layers: this.layers, rankMultiple, fusedLora, per }, options);
    return new Adapter(this, native, { file, state, rankMultiple, fusedLora, per }, parent);
  }

  /** @internal Prepares the timing of whole adapters; nothing is allocated before the first run. */
  openSpeedProbe(options: SpeedProbeOptions): SpeedProbe {
    this.requireOpen();
    return new SpeedProbe(this, { addon: this.#addon, model: this.#native }, options);
  }

  protected override release(): void {
    this.#native.dispose();
  }

  #call<Result>(call: () => Result): Result {
    this.requireOpen();
    try {
      return call();
    } catch (error) {
      throw fromNative(error);
    }
  }
}

function requireCausal({ facts, path, file }: Model): void {
  const kind = facts.hasEncoder
    ? "an encoder-decoder model"
    : !facts.hasDecoder
      ? "an embedding model"
      : facts.isDiffusion
        ? "a diffusion model"
        : null;
  if (kind === null) return;
  throw new InputError(
    "MODEL_KIND",
    `${path}: Expected a model that predicts the next token but received ${kind} (${file.architecture}), for which a boundary between layers has no meaning here.`,
    { details: { path, architecture: file.architecture } },
  );
}
