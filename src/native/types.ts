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
  readonly threads: number;
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
  /** Keep the logits of this run, or compare with those kept. */
  readonly logits: "none" | "keep" | "compare";
}

export interface NativeRunResult {
  /** Per sample of the batch: summed negative log-likelihood of its scored tokens, nats. */
  readonly sums: Float64Array;
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
  setBatch(batch: { readonly tokens: Int32Array; readonly offsets: Int32Array; readonly scored: Uint8Array }): void;
  /** [L], names of the tensors that cross the border below layer k; empty where no run can resume, as at 0. */
  borders(options: NativeStrengths): Promise<string[]>;
  run(options: NativeRun): Promise<NativeRunResult>;
  /** One pass, then the output norm and head on every layer's output. */
  lens(options: NativeStrengths): Promise<NativeLensResult>;
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
  devices(): NativeDevice[];
  versions(): { readonly llamaCpp: string; readonly systemInfo: string };
  loadModel(options: {
    readonly path: string;
    /** -1: all. */
    readonly gpuLayers: number;
    /** Names; none: the CPU alone. */
    readonly devices: readonly string[];
    readonly control: NativeJobControl;
  }): Promise<NativeModel>;
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
    options: NativeShape & {
      readonly path: string;
      readonly gpuLayers: number;
      readonly devices: readonly string[];
      readonly control: NativeJobControl;
    },
  ): Promise<NativeMemory>;
}

/** Names that the addon exports; a test compares them with what it does export. */
export const NATIVE_EXPORTS = [
  "JobControl",
  "createScorer",
  "devices",
  "loadAdapter",
  "loadBackend",
  "loadBackends",
  "loadModel",
  "loadWholeAdapter",
  "simulateMemory",
  "versions",
] as const satisfies readonly (keyof NativeAddon)[];
