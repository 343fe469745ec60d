import { stat } from "node:fs/promises";
import { identify } from "../calibration/file-identity.js";
import { InputError } from "../errors.js";
import { sha256OfFile } from "../gguf/hash-file.js";
import { readAdapter } from "../lora/adapter-file.js";
import type { ModelFile } from "../lora/model-file.js";
import { tensorsHashOf } from "../lora/tensors-hash.js";
import type { Recipe } from "./recipe.js";

/** The files of a recipe on this machine. */
export interface RecipeFiles {
  readonly model: ModelFile;
  readonly samples: string;
  /** The recorded adapter; null where another one takes its place and its scores are enough. */
  readonly adapter: {
    /** As the recipe names it. */
    readonly given: string;
    /** The GGUF file; of a PEFT folder its conversion. */
    readonly gguf: string;
  } | null;
}

/**
 * Compares files with what a recipe records of them.
 *
 * @throws InputError RECIPE_FILES with every file that changed in `details.files`; FILE_* for one that cannot be read;
 *   CancelledError
 */
export async function requireUnchanged(
  recipe: Recipe,
  { model, samples, adapter }: RecipeFiles,
  signal?: AbortSignal,
): Promise<void> {
  const changed: string[] = [];
  const identity = await identify(model.shards, { hash: recipe.model.sha256 === "" ? "auto" : "full", signal });
  if (identity.fingerprint !== recipe.model.fingerprint || identity.sha256 !== recipe.model.sha256) {
    changed.push(model.path);
  }
  if (adapter !== null && (await adapterChanged(recipe.adapter, adapter, signal))) changed.push(adapter.given);
  if ((await sha256OfFile(samples, { signal })) !== recipe.samples.sha256) changed.push(samples);
  if (changed.length === 0) return;
  throw new InputError(
    "RECIPE_FILES",
    `Expected the files that the recipe was made from but received others under ${changed.length === 1 ? "the name" : "the names"} ${changed.join(", ")}: put the old ones back, give a retrained adapter with --adapter, or calibrate again.`,
    { details: { files: changed } },
  );
}

async function adapterChanged(
  recorded: Recipe["adapter"],
  { given, gguf }: NonNullable<RecipeFiles["adapter"]>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  // What a folder is converted to may carry another version's words; what it computes must be the same.
  const isFolder = given !== gguf && (await stat(given).catch(() => null))?.isDirectory() === true;
  if (isFolder) return (await tensorsHashOf(await readAdapter(gguf), signal)) !== recorded.tensorsSha256;
  return (await sha256OfFile(gguf, { signal })) !== recorded.sha256;
}
