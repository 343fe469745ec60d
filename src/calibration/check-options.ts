import { UsageError } from "../errors.js";
import { FAMILIES, type Family } from "../lora/candidate.js";
import type { Goal } from "../search/choose.js";
import { completeJudgeOptions } from "../search/judge-options.js";
import type { Strategy } from "../search/race.js";
import { judgedBy, type ObjectiveChoice } from "./objective.js";

const STRATEGIES: readonly Strategy[] = ["exhaustive", "race"];
const GOALS: readonly Goal[] = ["economy", "quality"];
const HASHES: readonly string[] = ["auto", "full"];

/** Options that `plan` and `calibrate` share; both refuse the same ones, before anything runs. */
export interface CheckedOptions {
  readonly families?: readonly Family[] | undefined;
  readonly objective?: ObjectiveChoice | undefined;
  readonly inSample?: boolean | undefined;
  readonly strategy?: Strategy | undefined;
  /** Seconds. */
  readonly budget?: number | undefined;
  readonly holdout?: number | undefined;
  readonly subsetSizes?: readonly number[] | undefined;
  readonly goal?: Goal | undefined;
  readonly margin?: number | undefined;
  readonly confidence?: number | undefined;
  readonly seed?: number | undefined;
  readonly guard?: object | undefined;
  readonly guardMargin?: number | undefined;
  readonly hash?: "auto" | "full" | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws UsageError MARGIN_RANGE, CONFIDENCE_RANGE, SEED_RANGE, FAMILIES_RANGE, OBJECTIVE_RANGE, STRATEGY_RANGE,
 *   BUDGET_RANGE, HOLDOUT_RANGE, SUBSETSIZES_RANGE, GOAL_RANGE, GUARDMARGIN_RANGE, HASH_RANGE, SIGNAL_TYPE
 */
export function checkCalibrationOptions(options: CheckedOptions): void {
  const { families, objective, inSample = false, strategy, budget, holdout, subsetSizes } = options;
  const { goal, margin, confidence, seed, guard, guardMargin, hash, signal } = options;
  completeJudgeOptions({
    coveredLayers: [],
    ...(margin !== undefined && { margin }),
    ...(confidence !== undefined && { confidence }),
    ...(seed !== undefined && { seed }),
  });
  if (families !== undefined) {
    const unknown = families.find((it) => !FAMILIES.includes(it));
    if (unknown !== undefined || families.length === 0) {
      refuse("families", `one or more of ${FAMILIES.join(", ")}`, unknown ?? "");
    }
  }
  judgedBy(objective);
  if (goal === "quality" && (objective === "kl" || inSample)) {
    const why =
      objective === "kl"
        ? "with the objective kl (nothing is more like the full adapter than itself)"
        : "with `inSample` (on samples it was trained on, nothing is called better)";
    refuse("goal", `\`economy\` ${why}`, goal);
  }
  if (strategy !== undefined && !STRATEGIES.includes(strategy)) {
    refuse("strategy", `one of ${STRATEGIES.join(", ")}`, strategy);
  }
  if (budget !== undefined && !(budget > 0 && budget < Infinity)) {
    refuse("budget", "seconds above 0", String(budget));
  }
  if (holdout !== undefined && !(holdout > 0 && holdout < 1)) {
    refuse("holdout", "a number between 0 and 1", String(holdout));
  }
  if (holdout !== undefined && families?.includes("subset") !== true) {
    refuse("holdout", "`subset` among the families", (families ?? ["boundary"]).join(", "));
  }
  const badSize = subsetSizes?.find((size) => !(Number.isInteger(size) && size > 0));
  if (badSize !== undefined) refuse("subsetSizes", "whole numbers above 0", String(badSize));
  if (guardMargin !== undefined && !(guardMargin > 0 && guardMargin < 1)) {
    refuse("guardMargin", "a number between 0 and 1", String(guardMargin));
  }
  if (guardMargin !== undefined && guard === undefined) {
    refuse("guardMargin", "a `guard` set beside it", `${guardMargin} alone`);
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
