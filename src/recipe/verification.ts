import type { RecipeScores } from "./recipe.js";
import type { ScoreChecks } from "./judge-scores.js";

/** Whether the recorded scales still make the adapter that they stand for. */
export interface TrimCheck {
  readonly passed: boolean;
  /** Of the file; null where it could not be made. */
  readonly bytes: number | null;
  /** See `writeVerified`; null where it could not be made. */
  readonly maxLogitDifference: number | null;
  /** `other-tensors`: not the recorded file. `other-logits`: llama.cpp computes something else with it. */
  readonly failure: "other-tensors" | "other-logits" | null;
}

/** The result object, schema `lora-boundary/verification@1`. Plain JSON; fields are added, never renamed. */
export interface VerificationResult {
  readonly schema: "lora-boundary/verification@1";
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly recipe: { readonly path: string; readonly version: string; readonly createdAt: string };
  readonly model: { readonly path: string };
  readonly adapter: {
    readonly path: string;
    /** In place of the recorded one. */
    readonly isNew: boolean;
  };
  readonly samples: { readonly path: string; readonly count: number };
  readonly cut: { readonly id: string; readonly scales: string };
  readonly margin: number;
  readonly confidence: number;
  readonly engine: {
    readonly llamaCpp: string;
    readonly backend: string;
    /** Since the recipe was made; where there are any, the recorded adapter was scored anew to be compared with. */
    readonly changes: readonly string[];
  };
  readonly checks: ScoreChecks & { readonly trim: TrimCheck };
  readonly passed: boolean;
  /** Per sample, nats per scored token; `recorded` as it was compared with. */
  readonly scores: { readonly recorded: RecipeScores; readonly now: RecipeScores };
}
