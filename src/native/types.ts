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
  /** One per part: [L + 2] for a layered adapter (input, layers, output), [1] for a whole one. */
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

export interface NativeScorer {
  /** Samples one after another; sample i is `offsets[i]` .. `offsets[i + 1]`. Forgets all kept states. */
  setBatch(batch: { readonly tokens: Int32Array; readonly offsets: Int32Array; readonly scored: Uint8Array }): void;
  /** [L], names of the tensors that cross the border below layer k; empty where no run can resume, as at 0. */
  borders(options: NativeStrengths): Promise<string[]>;
  run(options: NativeRun): Promise<NativeRunResult>;
  /** Whether the device computes the loss: false where it was not asked to, or lacks an operation. */
  lossInGraph(): boolean;
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
  versions(): { readonly llamaCpp: string; readonly systemInfo: string };
  loadModel(
    options: NativePlacement & { readonly path: string; readonly control: NativeJobControl },
  ): Promise<NativeModel>;
  loadAdapter(options: {
    readonly model: NativeModel;
    readonly path: string;
    /** Per tensor in file order: 0 below the layers, l + 1 in layer l, L + 1 above them, -1 to leave out. */
    readonly partOfTensor: Int32Array;
    /** Ranks inside the layers are padded with zeros to a multiple of this; 1: every bit as in the file. */
    readonly rankMultiple: number;
    readonly control: NativeJobControl;
  }): Promise<NativeAdapter>;
  /** As llama.cpp's own programs load it: one strength for all of it. */
  loadWholeAdapter(options: { readonly model: NativeModel; readonly path: string }): Promise<NativeAdapter>;
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
