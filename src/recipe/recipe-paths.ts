import { dirname, relative, resolve, sep } from "node:path";
import { isHubReference } from "../hub/hub-reference.js";

/** A path as a recipe has it: relative to the recipe, with `/`; a reference to a hub stays as it is. */
export function pathInRecipe(recipe: string, path: string): string {
  if (isHubReference(path)) return path;
  // On another drive of Windows there is no relative path; it stays absolute then.
  return relative(dirname(resolve(recipe)), resolve(path))
    .split(sep)
    .join("/");
}

/** The path of what a recipe names, for this process. */
export function pathOfRecipe(recipe: string, path: string): string {
  return isHubReference(path) ? path : resolve(dirname(resolve(recipe)), path);
}
