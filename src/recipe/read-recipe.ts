import { fieldError, readCheckedJson, type WantedJson } from "../results/checked-json.js";
import { RECIPE_SCHEMA, type Recipe } from "./recipe.js";

const RECIPE: WantedJson = {
  code: "RECIPE",
  noun: "recipe",
  mostBytes: 64 * 2 ** 20,
  kinds: [{ schema: RECIPE_SCHEMA, schemaFile: "recipe-1.schema.json", writer: "calibrate --recipe" }],
};

/**
 * Reads a recipe, checked against the published schema and in itself.
 *
 * @throws InputError RECIPE_UNREADABLE, RECIPE_TOO_LARGE, RECIPE_NOT_JSON, RECIPE_SCHEMA, RECIPE_FIELD
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const recipe = (await readCheckedJson(path, RECIPE)).value as Recipe;
  const { lines } = recipe.samples;
  for (const [name, scores] of Object.entries(recipe.scores) as [string, readonly number[]][]) {
    if (scores.length === lines.length) continue;
    const problem = { expected: `${lines.length} scores, one per sample`, received: String(scores.length) };
    throw fieldError(path, { path: `scores.${name}`, ...problem }, RECIPE);
  }
  return recipe;
}
