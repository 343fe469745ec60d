import type { ReadSamplesOptions } from "../data/options.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { UsageError } from "../errors.js";
import { requireTarget } from "../gguf/target-file.js";
import { makeRecipe, requireObjective, type RecipeSource } from "../recipe/make-recipe.js";
import type { CalibrationResult } from "../result.js";
import type { CommandContext } from "./context.js";
import { jsonText } from "./json-output.js";
import { writeText } from "./page-output.js";

/** `--recipe`: where a recipe goes, and what must not be written over. */
export interface RecipeRequest {
  /** Undefined: not asked for. */
  readonly target: string | undefined;
  readonly paths: RecipeSource["paths"];
  readonly inputs: readonly string[];
  readonly force: boolean;
}

/** For the start of a command: a long one must not fail at its end for a name. */
export async function requireRecipeTarget({ target, inputs, force }: RecipeRequest, objective: string): Promise<void> {
  if (target === undefined) return;
  requireObjective(objective);
  await requireTarget(target, inputs, { force });
}

/** @throws UsageError RECIPE_PARTS */
export function requireNoRecipe(target: string | undefined, option: "shard" | "merge"): void {
  if (target === undefined) return;
  throw new UsageError(
    "RECIPE_PARTS",
    `Expected no \`--recipe\` with \`--${option}\` but received one: the scores in a recipe are of all samples in one run. Calibrate without parts for a recipe.`,
    { details: { option } },
  );
}

export interface Calibrated {
  readonly adapter: Adapter;
  readonly samples: SampleSet;
  readonly result: CalibrationResult;
  readonly reading: ReadSamplesOptions;
  readonly tokenWeighted: boolean | undefined;
}

export async function writeRecipe(
  calibrated: Calibrated,
  { target, paths, inputs, force }: RecipeRequest,
  session: ScoreSessionOptions,
  context: CommandContext,
): Promise<void> {
  if (target === undefined) return;
  if (calibrated.result.selected === null) {
    context.stderr("No recipe is written: no cut is proven.");
    return;
  }
  context.progress.update({ label: "Scoring for the recipe", done: 0, total: 1, secondsLeft: null });
  const recipe = await makeRecipe(target, { ...calibrated, paths }, { ...session, signal: context.signal });
  context.progress.done();
  await writeText(target, jsonText(recipe), { inputs, force });
}
