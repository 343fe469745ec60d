import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReadSamplesOptions } from "../data/options.js";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { UsageError } from "../errors.js";
import { readAdapter } from "../lora/adapter-file.js";
import { formatLayerScales } from "../lora/format-layer-scales.js";
import type { LayerScales } from "../lora/layer-grammar.js";
import { tensorsHashOf } from "../lora/tensors-hash.js";
import { writeAdapter } from "../lora/trim.js";
import { packageVersion } from "../package-version.js";
import type { CalibrationResult } from "../result.js";
import { pathInRecipe } from "./recipe-paths.js";
import { RECIPE_SCHEMA, type Recipe } from "./recipe.js";
import { scoreThree } from "./score-three.js";

/** What a recipe is made from. */
export interface RecipeSource {
  readonly adapter: Adapter;
  readonly samples: SampleSet;
  /** With something selected. */
  readonly result: CalibrationResult;
  /** As given: files, a PEFT folder, `hf:` references. */
  readonly paths: { readonly model: string; readonly adapter: string; readonly samples: string };
  /** How the samples were read. */
  readonly reading: ReadSamplesOptions;
  readonly tokenWeighted?: boolean | undefined;
}

export interface MakeRecipeOptions extends ScoreSessionOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The recipe of what a calibration has selected. Base, full adapter and cut are scored once more, together, so that the scores
 * do not depend on what else a search has tried.
 *
 * @param target where the recipe is going to lie; its paths are relative to that
 * @throws UsageError RECIPE_OBJECTIVE, RECIPE_NOTHING; MemoryError, BackendError, CancelledError
 */
export async function makeRecipe(
  target: string,
  { adapter, samples, result, paths, reading, tokenWeighted = false }: RecipeSource,
  options: MakeRecipeOptions = {},
): Promise<Recipe> {
  requireObjective(result.objective);
  const { selected, data, margin, confidence } = result;
  if (selected === null) {
    throw new UsageError(
      "RECIPE_NOTHING",
      "Expected a result with a proven cut for the recipe but received one without.",
    );
  }
  const { signal } = options;
  const cut: LayerScales = selected.candidate;
  const scored = await scoreThree(adapter, samples, cut, { ...options, seed: data.seed });
  return {
    schema: RECIPE_SCHEMA,
    version: packageVersion,
    createdAt: result.createdAt,
    command: result.command,
    model: {
      path: pathInRecipe(target, paths.model),
      sha256: result.model.sha256,
      fingerprint: result.model.fingerprint,
      layers: result.model.layers,
    },
    adapter: {
      path: pathInRecipe(target, paths.adapter),
      sha256: result.adapter.sha256,
      tensorsSha256: await tensorsHashOf(adapter.file, signal),
      per: adapter.per,
    },
    samples: {
      path: pathInRecipe(target, paths.samples),
      sha256: samples.sha256,
      reading: plain(reading),
      lines: samples.samples.map(({ line }) => line),
    },
    cut: {
      id: selected.candidate.id,
      scales: formatLayerScales(cut),
      tensorsSha256: await trimmedHash(adapter, cut, signal),
    },
    judging: { objective: "nll", margin, confidence, seed: data.seed, tokenWeighted },
    ...scored,
  };
}

/**
 * For the start of a command, before anything is scored.
 *
 * @throws UsageError RECIPE_OBJECTIVE
 */
export function requireObjective(objective: string): void {
  if (objective === "nll") return;
  throw new UsageError(
    "RECIPE_OBJECTIVE",
    `Expected the objective nll for a recipe but received ${objective}: verify scores the losses of samples alone, so that it could not judge this cut again. Leave out \`--recipe\` or \`--objective\`.`,
    { details: { objective } },
  );
}

/** Without what belongs to one call. */
function plain(reading: ReadSamplesOptions): Recipe["samples"]["reading"] {
  return JSON.parse(JSON.stringify({ ...reading, signal: undefined })) as Recipe["samples"]["reading"];
}

async function trimmedHash(adapter: Adapter, cut: LayerScales, signal: AbortSignal | undefined): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-recipe-"));
  try {
    const path = join(folder, "cut.gguf");
    await writeAdapter(adapter.path, { id: "cut", ...cut }, path, { ...(signal && { signal }) });
    return await tensorsHashOf(await readAdapter(path), signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
