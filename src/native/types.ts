/** The whole border between TypeScript and C++, typed in one place. Every function is checked again on the other side. */

export type NativeCode =
  | "ADAPTER_LOAD"
  | "BAD_ARGUMENT"
  | "BUSY"
  | "CANCELLED"
  | "CONTEXT"
  | "DECODE"
  | "DISPOSED"
  | "INTERNAL"
  | "MODEL_LOAD"
  | "NO_BACKEND"
  | "NO_DEVICE"
  | "OUT_OF_MEMORY"
  | "REPLAY_FAILED"
  | "SERVER_UNREACHABLE"
  | "TEMPORARY_FILE";

/** Stops a running job and tells how far it is, 0 to 1. */
export interface NativeJobControl {
  abort(): void;
  progress(): number;
}

export interface NativeDevice {
  readonly name: string;
  readonly description: string;
  readonly type: "cpu" | "gpu" | "integrated-gpu" | "accelerator" | "other";
  readonly backend: string;
  /** Bytes. */
  readonly memoryFree: number;
  /** Bytes. */
  readonly memoryTotal: number;
}

export interface NativeModelFacts {
  readonly layers: number;
  readonly embedding: number;
  readonly vocabulary: number;
  /** Tokens seen at once in training; 0 where the file does not say. */
  readonly trainedContext: number;
  /** Of the weights in memory. */
  readonly bytes: number;
  readonly description: string;
  readonly architecture: string;
  readonly hasEncoder: boolean;
  readonly hasDecoder: boolean;
  readonly isRecurrent: boolean;
  readonly isHybrid: boolean;
  readonly isDiffusion: boolean;
  readonly hasTokenizer: boolean;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly eot: number | null;
  readonly addBos: boolean;
  readonly chatTemplate: string | null;
}

export interface NativeModel {
  facts(): NativeModelFacts;
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array;
  tokenBytes(token: number): Uint8Array;
  isControl(token: number): boolean;
  dispose(): void;
}

export interface NativeAdapter {
  dispose(): void;
}

/** How large a context is made. */
export interface NativeShape {
  readonly maxTokens: number;
  /** At most 256. */
  readonly maxSequences: number;
  /** Scored tokens of the largest batch. */
  readonly maxRows: number;
  /** Scored tokens of the sample that has most. */
  readonly rowsOfSequence: number;
  readonly threads: number;
  /** Loss and argmax are computed behind the logits on their device, which stay there; see `NativeScorer.lossInGraph`. */
  readonly lossInGraph: boolean;
  readonly flashAttention: "auto" | "on" | "off";
  /** Of the KV cache, as llama.cpp names it: `f16`, `q8_0`. */
  readonly keyType: string;
  readonly valueType: string;
}

export interface NativeStrengths {
  /** Null: the base model. */
  readonly adapter: NativeAdapter | null;
  /** One per part: [P L + 2] for a layered adapter of P parts per layer (input, layers, output), [1] for a whole one. */
  readonly strengths: Float32Array;
  readonly control: NativeJobControl;
}

export interface NativeRun extends NativeStrengths {
  /** The layer to start from; 0: from the tokens. A state must be kept there. */
  readonly resumeAt: number;
  /** Layers, above `resumeAt`, below which to keep the state. */
  readonly keepAt: Int32Array;
  /**
   * Keep the logits of this run, compare with those kept (which are then forgotten), or give the divergence from those kept
   * (which stay until the next batch).
   */
  readonly logits: "none" | "keep" | "compare" | "divergence";
}

export interface NativeRunResult {
  /**
   * Per sample of the batch: summed negative log-likelihood of its scored tokens, nats; with `divergence` the summed
   * Kullback-Leibler divergence from the kept run's next-token distributions to this run's.
   */
  readonly sums: Float64Array;
  /** Per sample: scored tokens that are the most likely ones; among equals the lowest id is. */
  readonly correct: Int32Array;
  /** Largest difference of any logit from those kept; infinite where one is not a number. */
  readonly maxDifference: number;
  /** Of the whole job. */
  readonly seconds: number;
  /** Of it: copying states. */
  readonly copySeconds: number;
  /** Of all states, those to be reused included. */
  readonly keptBytes: number;
}

/** How well the scored tokens can be read off each layer's output, summed over the scored tokens of each sample. */
export interface NativeLensResult {
  /** Ascending; empty where the architecture has no border between the last layer and the output norm. */
  readonly layers: Int32Array;
  /** [layers, samples], nats. */
  readonly nll: Float64Array;
  /** [layers, samples], probabilities of the true token. */
  readonly probability: Float64Array;
  /** [layers, samples], natural logarithms of the true token's rank, 1 for the most likely. */
  readonly logRank: Float64Array;
}

export interface NativeScorer {
  /** Samples one after another; sample i is `offsets[i]` .. `offsets[i + 1]`. Forgets all kept states. */
  setBatch(batch: {
    readonly tokens: Int32Array;
    readonly offsets: Int32Array;
    readonly scored: Uint8Array;
    /** What samples begin with alike, before the token that predicts their first scored one, is computed once for all. */
    readonly shared: boolean;
  }): void;
  /** [L], names of the tensors that cross the border below layer k; empty where no run can resume, as at 0. */
  borders(options: NativeStrengths): Promise<string[]>;
  run(options: NativeRun): Promise<NativeRunResult>;
  /** Whether the device computes the loss: false where it was not asked to, or lacks an operation. */
  lossInGraph(): boolean;
  /** One pass, then the output norm and head on every layer's output. */
  lens(options: NativeStrengths): Promise<NativeLensResult>;
  dispose(): void;
}

/** Where a model is computed. */
export interface NativePlacement {
  /** -1: all. */
  readonly gpuLayers: number;
  /** Names; none: the CPU alone. */
  readonly devices: readonly string[];
  /** llama.cpp's number: none, layer, row, tensor. Default: layer. */
  readonly splitMode?: number;
  /** Per device, in any unit; default: by free memory. */
  readonly tensorSplit?: Float32Array;
}

/** How large a context for generation is made. */
export interface NativeGeneratorShape {
  /** Of all sequences together. */
  readonly contextTokens: number;
  /** At most 256. */
  readonly maxSequences: number;
  /** Computed at once. */
  readonly batchTokens: number;
  /** Tokens of one step for which logits are wanted. */
  readonly maxRows: number;
  readonly threads: number;
  /** Of the adapter that will be set, see `loadAdapter`. */
  readonly fusedLora: boolean;
  /** `setOpening` will be called. */
  readonly resumes: boolean;
  /** What a token reads of its sequence does not depend on the others; only for a model that is on the CPU alone. */
  readonly ownSums: boolean;
}

/** Prompts, each in a slot of its own; what is decoded at once holds prompts `batches[i]` .. `batches[i + 1]`. */
export interface NativeOpening {
  /** [n], each once. */
  readonly slots: Int32Array;
  /** [n + 1]; prompt i is `offsets[i]` .. `offsets[i + 1]`, at least one token. */
  readonly offsets: Int32Array;
  readonly tokens: Int32Array;
  readonly batches: Int32Array;
}

/** What one step appends to the sequences that take part in it. */
export interface NativeStep {
  /** [n], each once. */
  readonly slots: Int32Array;
  /** [n + 1]; the tokens of slot i are `offsets[i]` .. `offsets[i + 1]`, at least one. */
  readonly offsets: Int32Array;
  readonly tokens: Int32Array;
  /** [n], how many of a slot's tokens, its last ones, are drafts; -1: no token is wanted after them. */
  readonly drafts: Int32Array;
  readonly control: NativeJobControl;
}

export interface NativeStepResult {
  /** [n], tokens chosen: the drafts that would have been chosen, and the one after them. */
  readonly counts: Int32Array;
  /** Of all slots, one after another. */
  readonly tokens: Int32Array;
  /** For each of them: the token with the second largest logit. */
  readonly runnersUp: Int32Array;
  /** For each of them: by how much the largest logit is above the second. */
  readonly margins: Float32Array;
  /** [n], 1: the last token chosen ends the text. */
  readonly ended: Uint8Array;
  /** [n], 1: the memory could not be rolled back behind rejected drafts, so the slot is empty now. */
  readonly lost: Uint8Array;
  /** After `open`: layers of `keepAt` below which the graph can be cut. */
  readonly kept: Int32Array;
  /** Of the whole job. */
  readonly seconds: number;
}

/** Sequences in slots that grow token by token. After a failed or cancelled step every slot is empty. */
export interface NativeGenerator {
  /** Takes effect at once and empties every slot: see `NativeStrengths`. */
  setStrengths(options: Omit<NativeStrengths, "control">): void;
  /** Empties a slot for a sequence. Temperature 0: the largest logit, of equal ones the lowest token. */
  start(options: {
    readonly slot: number;
    readonly temperature: number;
    readonly topP: number;
    /** Below 2^31. */
    readonly seed: number;
  }): void;
  /** Empties a slot. */
  clear(options: { readonly slot: number }): void;
  step(options: NativeStep): Promise<NativeStepResult>;
  /** Forgets all kept states. */
  setOpening(opening: NativeOpening): void;
  /**
   * Decodes the prompts of the opening into empty slots; they stay there until the strengths are set. From `resumeAt` > 0 on
   * only: what is below is that of the opening before, under the same strengths there.
   */
  open(options: {
    readonly resumeAt: number;
    /** Layers above `resumeAt`, below which later openings may resume. States above `resumeAt` are dropped otherwise. */
    readonly keepAt: Int32Array;
    readonly control: NativeJobControl;
  }): Promise<NativeStepResult>;
  /** Empties `to`; then it is the same sequence as `from`, in the same memory. */
  copy(options: { readonly from: number; readonly to: number }): void;
  dispose(): void;
}

export interface NativeMemory {
  /** Buffers of the base model's graph, the logits of one batch among them. */
  readonly computeBytes: number;
  /** KV cache or recurrent state. */
  readonly cacheBytes: number;
}

export interface NativeAddon {
  readonly JobControl: new () => NativeJobControl;
  /** Loads llama.cpp's backends from a folder, once per process. */
  loadBackends(folder: string): void;
  /** Loads one more backend library and returns its name; its devices are listed afterwards. */
  loadBackend(path: string): string;
  /** Connects to an RPC server, whose devices are listed afterwards; their names. The RPC backend must be loaded. */
  addServer(options: {
    readonly host: string;
    readonly port: number;
    /** How long to wait for each answer. */
    readonly milliseconds: number;
  }): Promise<string[]>;
  /** `host:port` of servers that went away under something loaded: what was computed since is worth nothing. */
  lostServers(): string[];
  devices(): NativeDevice[];
  versions(): {
    readonly llamaCpp: string;
    readonly systemInfo: string;
    /** Products of Q4_1 weights with several tokens are computed faster, with the bits of llama.cpp's own. */
    readonly quantProducts: boolean;
    /** Products of Q4_1 and Q8_0 weights are computed in an order of our own where answers are written. */
    readonly columnProducts: boolean;
  };
  loadModel(
    options: NativePlacement & { readonly path: string; readonly control: NativeJobControl },
  ): Promise<NativeModel>;
  loadAdapter(options: {
    readonly model: NativeModel;
    readonly path: string;
    /** Per tensor in file order: 0 below the layers, from 1 + P l on in layer l, P L + 1 above them, -1 to leave out. */
    readonly partOfTensor: Int32Array;
    /** P: 1 or 2. */
    readonly partsPerLayer: number;
    /** Ranks inside the layers are padded with zeros to a multiple of this; 1: every bit as in the file. */
    readonly rankMultiple: number;
    /** What a pair adds is one node in place of llama.cpp's three; only for a model that is on the CPU alone. */
    readonly fusedLora: boolean;
    readonly control: NativeJobControl;
  }): Promise<NativeAdapter>;
  /** As llama.cpp's own programs load it: one strength for all of it. */
  loadWholeAdapter(options: { readonly model: NativeModel; readonly path: string }): Promise<NativeAdapter>;
  createGenerator(options: NativeGeneratorShape & { readonly model: NativeModel }): Promise<NativeGenerator>;
  createScorer(options: NativeShape & { readonly model: NativeModel }): Promise<NativeScorer>;
  /** What a scorer's context would take, without allocating it. */
  simulateMemory(
    options: NativeShape & NativePlacement & { readonly path: string; readonly control: NativeJobControl },
  ): Promise<NativeMemory>;
}

/** Names that the addon exports; a test compares them with what it does export. */
export const NATIVE_EXPORTS = [
  "JobControl",
  "addServer",
  "createGenerator",
  "createScorer",
  "devices",
  "loadAdapter",
  "loadBackend",
  "loadBackends",
  "loadModel",
  "loadWholeAdapter",
  "lostServers",
  "simulateMemory",
  "versions",
] as const satisfies readonly (keyof NativeAddon)[];
