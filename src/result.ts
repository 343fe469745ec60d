import type { Family } from "./lora/candidate.js";

/** Mean with a simultaneous lower and upper bound. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * What the data prove of a candidate against the full adapter, at the stated margin and confidence:
 * `better`, `not-worse`, `worse`, or `unproven`.
 */
export type Verdict = "better" | "not-worse" | "worse" | "unproven";

/**
 * `bootstrap`: the multiplier bootstrap alone; `sign-flip`: scores are hits and misses, so claims must also pass the sign-flip test over
 * all candidates, and `not-worse` counts losses that were not seen.
 */
export type CriticalValueTest = "bootstrap" | "sign-flip";

/** Where candidates are judged by answers: what their losses on the same samples say, by the same rules. */
export interface CandidateLoss {
  /** NLL per scored token, nats. */
  readonly mean: number;
  /** Null where the adapter gains nothing by NLL. */
  readonly retention: Interval | null;
  readonly verdict: Verdict;
}

export interface CandidateResult {
  readonly id: string;
  readonly family: Family;
  readonly layerScales: readonly number[];
  /** Of the feed-forward pairs, where they differ; then `layerScales` are those of the attention pairs. */
  readonly feedForwardScales?: readonly number[];
  readonly adaptedLayers: number;
  /** Samples it was scored on. */
  readonly samples: number;
  /** Mean over samples of the per-sample score (mean NLL per scored token, nats). */
  readonly mean: number;
  /** Standard error of that mean. */
  readonly sem: number;
  /** Full adapter minus candidate, paired, nats: above 0 the candidate is better. */
  readonly gainVsFull: Interval;
  /** Share of the adapter's gain over the base model that the candidate keeps; see DESIGN "Words". Null where the adapter gains nothing. */
  readonly retention: Interval | null;
  readonly verdict: Verdict;
  /** Samples after which an adaptive strategy dropped it; null where it was kept to the end. */
  readonly droppedAfter: number | null;
  /** Null for samples that it was not scored on. */
  readonly perSample: readonly (number | null)[];
  /** Absent where the objective is no metric of answers, and for subsets. */
  readonly nll?: CandidateLoss;
  /** What it wrote, in the order of `perSample`; only where asked for (`--keep-answers`). */
  readonly answers?: readonly (string | null)[];
}

/** Whether the full adapter beats the base model on these samples at all. */
export interface Gate {
  readonly passed: boolean;
  /** Base minus full, paired, nats. */
  readonly gain: Interval;
  /** `no-gain`: proven no better than the base. `too-few`: these samples cannot tell. Null when passed. */
  readonly failure: "no-gain" | "too-few" | null;
  /** `--force` went on after a failed gate. */
  readonly forced: boolean;
}

export interface SelectedCandidate {
  readonly candidate: {
    readonly id: string;
    readonly layerScales: readonly number[];
    readonly feedForwardScales?: readonly number[];
    /** The one strength of all kept pairs; 1 where they have strengths of their own, as in a subset. */
    readonly boost: number;
    readonly globalScale: number;
    readonly inputScale: number;
    readonly outputScale: number;
  };
  readonly verdict: Verdict;
  /** One plain sentence. */
  readonly reason: string;
  /** Full minus chosen, selection repeated in every fold: an honest size of the gain. */
  readonly crossFitGain: Interval;
}

/** Where nothing is selected: why, and what would help. */
export interface NoSelection {
  /** `worse`: every cut is proven to lose more than the margin. `unproven`: the samples cannot decide. */
  readonly kind: "worse" | "unproven";
  readonly sentence: string;
  /** For `unproven`: about how many samples would decide; for `worse`: null. */
  readonly samplesNeeded: number | null;
  /** For `worse`: the least that any cut is proven to lose, as a share of the adapter's gain. */
  readonly leastLoss: number | null;
}

/** One size of a subset search. */
export interface SubsetPointResult {
  /** Of the candidate that would be written; in `candidates` its scores are those of the procedure on judging samples. */
  readonly id: string;
  /** Layers or, `perModule`, halves of layers that are out. */
  readonly unitsOut: number;
  readonly adaptedLayers: number;
  /** The mean strength of what is kept; what lies beside a gap has more of it. */
  readonly boost: number;
  /** In the order in which they went. */
  readonly out: readonly { readonly layer: number; readonly part: "attention" | "ffn" | null }[];
  /** On samples that neither ranked nor fitted; null where the adapter gains nothing. */
  readonly retention: Interval | null;
  readonly verdict: Verdict;
  /** The written subset without boost and random ones of its size with its boost: retention on a few samples, no claims. */
  readonly shown: {
    readonly samples: number;
    readonly boosted: number | null;
    readonly unboosted: number | null;
    readonly random: readonly number[];
  };
}

/** What a subset search found, see DESIGN lesson 6. */
export interface SubsetSection {
  /** `cross-fit`: ranked on one half of the samples, judged on the other, both ways, and what is written is ranked on all of them; `holdout`: the written subsets were judged on samples kept aside. */
  readonly judgedBy: "cross-fit" | "holdout";
  readonly perModule: boolean;
  /** Units that could go. */
  readonly units: number;
  /** Fewest out first. */
  readonly points: readonly SubsetPointResult[];
}

/** One candidate on the guard set. */
export interface GuardCandidate {
  readonly id: string;
  /** Mean NLL per scored token, nats. */
  readonly mean: number;
  /** Share of the full adapter's NLL that it adds to it, with simultaneous bounds; below 0 it is better. Null where unbounded. */
  readonly added: Interval | null;
  /** Against the full adapter at the guard's margin; the full adapter itself is `not-worse` by definition. */
  readonly verdict: Exclude<Verdict, "better">;
  readonly perSample: readonly number[];
}

/** A second set of samples on which what is selected must not be worse than the full adapter. */
export interface GuardSection {
  readonly path: string | null;
  readonly sha256: string;
  readonly samples: number;
  readonly groups: number;
  readonly scoredTokens: number;
  readonly promptTokens: number;
  readonly notices: readonly string[];
  /** Per sample, in the order of `perSample`: its line in the file (1-based), or its place in the array. */
  readonly lines: readonly number[];
  /** Share of the full adapter's NLL there that a candidate may add to it. */
  readonly margin: number;
  /** `examined`: see `candidates`. `nothing`: the samples let nothing be chosen. `not-reached`: the run ended before, so nothing is selected. */
  readonly state: "examined" | "nothing" | "not-reached";
  /** Of its own bootstrap; null where nothing was examined. */
  readonly criticalValue: number | null;
  /** Base model, full adapter, then all that the samples would let be chosen, the first choice first. Empty where nothing was examined. */
  readonly candidates: readonly GuardCandidate[];
  /** Layer-token evaluations / (L x tokens of all guard samples); not part of `cost.passes`. */
  readonly passes: number;
}

/** The result object, schema `lora-boundary/calibration@1`. Plain JSON; fields are added, never renamed. */
export interface CalibrationResult {
  readonly schema: "lora-boundary/calibration@1";
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly model: {
    readonly path: string;
    /** Empty unless asked for (`--hash full`): `fingerprint` identifies the model. */
    readonly sha256: string;
    /** SHA-256 over size, header and sampled blocks. */
    readonly fingerprint: string;
    readonly architecture: string;
    readonly layers: number;
    readonly quantization: string;
  };
  readonly adapter: {
    readonly path: string;
    readonly sha256: string;
    readonly fingerprint: string;
    /** Layers that have at least one pair. */
    readonly layers: readonly number[];
    /** Largest rank of any pair. */
    readonly rank: number;
    readonly alpha: number;
    readonly parameters: number;
    readonly bytes: number;
  };
  readonly data: {
    readonly path: string | null;
    readonly sha256: string;
    readonly samples: number;
    readonly scoredTokens: number;
    readonly promptTokens: number;
    readonly groups: number;
    readonly seed: number;
    readonly template: {
      readonly source: string;
      readonly sha256: string;
      readonly variables: Readonly<Record<string, unknown>>;
      readonly date: string;
    } | null;
    readonly notices: readonly string[];
    /** Per sample, in the order of `perSample`: its line in the file (1-based), or its place in the array. */
    readonly lines: readonly number[];
  };
  /**
   * Of a run that was cancelled, failed, or had a budget that ran out: judged on `data.samples` of so many (a random part), and the
   * stage in which it stopped. Null: it came to its end.
   */
  readonly partial: {
    readonly ofSamples: number;
    readonly cause: "cancelled" | "failed" | "budget";
    readonly stage: "boundary" | "refine" | "subset" | "controls" | "settle" | "guard";
  } | null;
  /** `nll`, `kl` (divergence from the full adapter: likeness, not quality), or the name of a metric of answers. */
  readonly objective: string;
  /** How `mean` and `perSample` read; gains are above 0 for better either way. Absent: lower is better, nats per token. */
  readonly objectiveScale?: { readonly higherIsBetter: boolean; readonly unit: string };
  /** The adapter was trained on these samples (`--in-sample`): nothing is called `better`. Absent: false. */
  readonly inSample?: boolean;
  /** How candidates were scored: all on all samples, or as a race that the losing ones leave, see `droppedAfter`. */
  readonly strategy: "exhaustive" | "race";
  readonly goal: "economy" | "quality";
  readonly margin: number;
  readonly confidence: number;
  /** Half-width of every bound in standard errors, simultaneous over all candidates (max-t). */
  readonly criticalValue: number;
  /** Where the critical value comes from. Absent: `bootstrap`. */
  readonly test?: CriticalValueTest;
  readonly gate: Gate;
  /** Every candidate tried, boundaries first, ascending. */
  readonly candidates: readonly CandidateResult[];
  readonly selected: SelectedCandidate | null;
  /** Null where something is selected, and where a failed gate ended the search. */
  readonly noSelection: NoSelection | null;
  /** Fewest adapted layers at each level of retention, best first. */
  readonly pareto: readonly { readonly id: string; readonly adaptedLayers: number; readonly retention: number }[];
  /** The global-scale control, where it was run; `bestGlobalScale` null otherwise. */
  readonly controls: {
    readonly bestGlobalScale: { readonly id: string; readonly gainVsFull: Interval } | null;
    readonly noiseFloor: number;
    /** Control minus selected, paired, nats: above 0 the selected cut is better than the best control. Null without either. */
    readonly selectedVsBest: Interval | null;
    /** The control gains as much as the selected candidate, so the gain is not the cut's. */
    readonly explainsGain: boolean;
  };
  /** The subset search, where it was run. */
  readonly subset: SubsetSection | null;
  /** The guard set, where one was given; absent or null: none. */
  readonly guard?: GuardSection | null;
  /** That a subset search may find more, where the cuts that were tried leave much; one sentence. */
  readonly suggestion: string | null;
  /** The written file; null where none was written. */
  readonly output: {
    readonly path: string;
    readonly sha256: string;
    readonly bytes: number;
    readonly parameters: number;
    readonly verified: boolean;
    /** Largest difference of any logit of the first batch between the written file and the in-memory layer scales. */
    readonly maxLogitDifference: number;
  } | null;
  readonly engine: {
    readonly llamaCpp: string;
    readonly backend: string;
    readonly threads: number;
    /**
     * `exact`: the self-check found equal bits. `close`: differences within the noise of a GPU, see `controls.noiseFloor`.
     * `plain`: it failed, and every candidate was a plain run.
     */
    readonly replay: "exact" | "close" | "plain";
    readonly batchTokens: number;
    /** Where the loss was computed: on the device behind the logits, or on the host in double. */
    readonly loss: "graph" | "host";
    readonly flashAttention: "auto" | "on" | "off";
    /** Types of the KV cache, as llama.cpp names them. */
    readonly cacheTypeK: string;
    readonly cacheTypeV: string;
  };
  readonly cost: {
    /** Layer-token evaluations divided by (L x tokens of all samples). */
    readonly passes: number;
    readonly naivePasses: number;
    readonly seconds: number;
    readonly tokensComputed: number;
    readonly tokensShared: number;
    /** Of answers, where any were written; its tokens are in `tokensComputed` as well. */
    readonly generation?: {
      readonly steps: number;
      readonly tokensComputed: number;
      readonly tokensWritten: number;
      readonly draftsProposed: number;
      readonly draftsAccepted: number;
      readonly seconds: number;
    };
  };
}
