/** Over rounds. */
export interface SpeedSpread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface SpeedRow {
  readonly id: string;
  readonly role: "base" | "full" | "cut";
  /** Ranks were padded to a multiple of it; null: as they are. */
  readonly padRank: number | null;
  /** Of the adapter's file; of the base model all parts. */
  readonly fileBytes: number;
  /** What its tensors take in memory. */
  readonly weightBytes: number;
  readonly loadSeconds: number;
  readonly runs: readonly {
    /** In parallel. */
    readonly sequences: number;
    /** Of each sequence. */
    readonly promptTokens: number;
    /** Of all sequences together. */
    readonly promptTokensPerSecond: SpeedSpread;
    readonly decodeTokensPerSecond: SpeedSpread;
  }[];
}

/** Costs side by side, measured in one run on one machine. Plain data. */
export interface SpeedReport {
  readonly machine: { readonly processor: string; readonly backend: string; readonly threads: number };
  readonly decodeTokens: number;
  readonly rounds: number;
  readonly modelBytes: number;
  /** The base model first, then the full adapter, then the cuts, each also padded where that changes something. */
  readonly rows: readonly SpeedRow[];
}
