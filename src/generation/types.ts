/** Why an answer is over: the model ended it, a stop string was met, or `maxTokens` (or the context) was full. */
export type Finish = "end" | "stop" | "length";

export interface Answer {
  /** Without stop string and control tokens. */
  readonly text: string;
  /** As chosen, a token that ends the text included. */
  readonly tokens: Int32Array;
  /** Per token: by how much its row's largest logit was above the second. */
  readonly margins: Float32Array;
  /** Per token: the one with the second largest logit. */
  readonly runnersUp: Int32Array;
  readonly finish: Finish;
}

/** Text, or token ids as they are. */
export type Prompt = string | Int32Array;

export interface GeneratorOptions {
  /** Tokens of an answer at most. Default 256. */
  readonly maxTokens?: number | undefined;
  /** Texts that end an answer, found across token borders. Default none. */
  readonly stop?: readonly string[] | undefined;
  /** 0 (default): always the largest logit, of equal ones the lowest token id. */
  readonly temperature?: number | undefined;
  /** Draw from the most probable tokens that have this share together, as llama.cpp does: before the temperature. Default 1. */
  readonly topP?: number | undefined;
  /** Of the draws, 0 to 2^31 - 1; the n-th of equal prompts draws with `seed + n`. Default 0. */
  readonly seed?: number | undefined;
  /** Answers written at the same time. Default 16. */
  readonly sequences?: number | undefined;
  /** Verify guesses from earlier answers to the same prompt, greedy choice only; the text stays the same, but for ties. Default true. */
  readonly drafts?: boolean | undefined;
  /** Tokens of prompt and answer together. Default: the context the model was trained with. */
  readonly contextTokens?: number | undefined;
  /** Tokens computed at once. Default 512. */
  readonly batchTokens?: number | undefined;
  /**
   * Memory for prompts, MiB: what layers computed of them for one candidate is taken over by the next one as far as its lowest
   * layers are the same. With drafts on the CPU only. States are kept at fewer layers where memory is short, and every candidate
   * computes its prompts from their tokens where they do not fit; 0: always. Default 512.
   */
  readonly promptMebibytes?: number | undefined;
  readonly threads?: number | undefined;
}

/** A piece of an answer, in order for each prompt. */
export interface AnswerPiece {
  /** Id of the candidate that writes it. */
  readonly candidate: string;
  /** Index of the prompt. */
  readonly prompt: number;
  readonly text: string;
}

export interface GenerateOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onToken?: ((piece: AnswerPiece) => void) | undefined;
  /** Called when an answer is complete. */
  readonly onAnswer?: ((candidate: string, prompt: number, answer: Answer) => void) | undefined;
}

/** What a generator has done so far. */
export interface GenerationFacts {
  /** Batches decoded. */
  readonly steps: number;
  /** Tokens decoded, rejected drafts included, and prompts in full, also where lower layers were taken over. */
  readonly tokensComputed: number;
  /** Tokens of answers. */
  readonly tokensWritten: number;
  readonly draftsProposed: number;
  readonly draftsAccepted: number;
  /** Wall time inside `generate`, seconds. */
  readonly seconds: number;
  readonly notices: readonly string[];
}
