import { UsageError } from "../errors.js";
import type { ScoreObjective } from "../engine/session-types.js";
import type { Family } from "../lora/candidate.js";
import type { Goal } from "../search/choose.js";
import { completeJudgeOptions } from "../search/judge-options.js";

const FAMILIES: readonly Family[] = ["boundary", "scale"];
const GOALS: readonly Goal[] = ["economy", "quality"];
const OBJECTIVES: readonly ScoreObjective[] = ["nll", "kl"];
const HASHES: readonly string[] = ["auto", "full"];

/** Options that `plan` and `calibrate` share; both refuse the same ones, before anything runs. */
export interface CheckedOptions {
  readonly families?: readonly Family[] | undefined;
  readonly objective?: ScoreObjective | undefined;
  readonly inSample?: boolean | undefined;
  readonly goal?: Goal | undefined;
  readonly margin?: number | undefined;
  readonly confidence?: number | undefined;
  readonly seed?: number | undefined;
  readonly hash?: "auto" | "full" | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws UsageError MARGIN_RANGE, CONFIDENCE_RANGE, SEED_RANGE, FAMILIES_RANGE, OBJECTIVE_RANGE, GOAL_RANGE, HASH_RANGE, SIGNAL_TYPE */
export function checkCalibrationOptions(options: CheckedOptions): void {
  const { families, objective, inSample = false, goal, margin, confidence, seed, hash, signal } = options;
  completeJudgeOptions({
    coveredLayers: [],
    ...(margin !== undefined && { margin }),
    ...(confidence !== undefined && { confidence }),
    ...(seed !== undefined && { seed }),
  });
  if (families !== undefined && !(families.includes("boundary") && families.every((it) => FAMILIES.includes(it)))) {
    refuse("families", `\`boundary\`, and with it any of ${FAMILIES.join(", ")},`, families.join(", "));
  }
  if (objective !== undefined && !OBJECTIVES.includes(objective)) {
    refuse("objective", `one of ${OBJECTIVES.join(", ")}`, objective);
  }
  if (goal === "quality" && (objective === "kl" || inSample)) {
    const why =
      objective === "kl"
        ? "with the objective kl (nothing is more like the full adapter than itself)"
        : "with `inSample` (on samples it was trained on, nothing is called better)";
    refuse("goal", `\`economy\` ${why}`, goal);
  }
  if (goal !== undefined && !GOALS.includes(goal)) refuse("goal", `one of ${GOALS.join(", ")}`, goal);
  if (hash !== undefined && !HASHES.includes(hash)) refuse("hash", `one of ${HASHES.join(", ")}`, hash);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new UsageError("SIGNAL_TYPE", "Expected an AbortSignal for `signal` but received another object.");
  }
}

function refuse(option: string, expected: string, received: string): never {
  throw new UsageError(
    `${option.toUpperCase()}_RANGE`,
    `Expected ${expected} for \`${option}\` but received ${received === "" ? "nothing" : received}.`,
    { details: { option, received } },
  );
}
