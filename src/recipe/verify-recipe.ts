import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeVerified } from "../calibration/write-verified.js";
import { readSamples } from "../data/read-samples.js";
import { scoredCount, type SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { GPU_CHOICES, type DeviceOptions, type Gpu } from "../engine/devices.js";
import { loadModel, type LoadModelOptions, type Model } from "../engine/model.js";
import { InputError, VerificationError } from "../errors.js";
import { localPathOf } from "../hub/local-path.js";
import { readAdapter } from "../lora/adapter-file.js";
import { parseLayerScales, type LayerScales } from "../lora/layer-grammar.js";
import { readModel } from "../lora/model-file.js";
import { tensorsHashOf } from "../lora/tensors-hash.js";
import { packageVersion } from "../package-version.js";
import { adapterPathOf } from "../peft/adapter-path.js";
import { requireUnchanged } from "./changed-files.js";
import { judgeScores } from "./judge-scores.js";
import { readRecipe } from "./read-recipe.js";
import { pathOfRecipe } from "./recipe-paths.js";
import type { Recipe, RecipeEngine, RecipeScores } from "./recipe.js";
import { scoreThree } from "./score-three.js";
import type { TrimCheck, VerificationResult } from "./verification.js";

export interface VerifyOptions extends DeviceOptions {
  /** A retrained adapter in place of the recorded one: GGUF file, PEFT folder or `hf:` reference. */
  readonly adapter?: string | undefined;
  /** Default: as recorded. */
  readonly threads?: number | undefined;
  /** Goes into the result as it is. */
  readonly command?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onDownload?: LoadModelOptions["onDownload"];
  readonly onStage?: ((stage: "files" | "model" | "trim" | "scores") => void) | undefined;
}

/**
 * Makes the cut of a recipe again and scores it: from the recorded adapter, or from a retrained one. The scores are paired with the
 * recorded ones; where engine or backend have changed since, the recorded adapter is scored anew to be compared with.
 *
 * @throws InputError RECIPE_*, of which RECIPE_FILES names the files that changed; FILE_*; as `readSamples`,
 *   `loadAdapter`; MemoryError, BackendError, CancelledError
 */
export async function verifyRecipe(path: string, options: VerifyOptions = {}): Promise<VerificationResult> {
  const { signal, onStage, onDownload, command = [] } = options;
  const recipe = await readRecipe(path);
  onStage?.("files");
  const download = { signal, onProgress: onDownload };
  const modelPath = await localPathOf(pathOfRecipe(path, recipe.model.path), download);
  const samplesPath = pathOfRecipe(path, recipe.samples.path);
  const modelFile = await readModel(modelPath);
  const recordedAdapter = pathOfRecipe(path, recipe.adapter.path);
  const recorded = async () => ({
    given: recordedAdapter,
    gguf: await adapterPathOf(recordedAdapter, modelFile, { signal, onDownload }),
  });
  const files = { model: modelFile, samples: samplesPath };
  const isNew = options.adapter !== undefined;
  await requireUnchanged(recipe, { ...files, adapter: isNew ? null : await recorded() }, signal);

  onStage?.("model");
  await using model = await loadModel(modelPath, { gpu: gpuOf(recipe.engine), ...devicesOf(options), signal });
  const samples = await sameSamples(recipe, samplesPath, model, signal);
  const cut = parseLayerScales(recipe.cut.scales, { layers: model.layers });
  const source = options.adapter ?? recordedAdapter;
  await using adapter = await model.loadAdapter(source, { signal, onDownload, per: recipe.adapter.per });
  const session = {
    ...recipe.session,
    ...(options.threads !== undefined && { threads: options.threads }),
    ...{ seed: recipe.judging.seed, signal },
  };
  onStage?.("trim");
  const trim = await trimAgain(adapter, samples, cut, isNew ? null : recipe.cut.tensorsSha256, session);
  onStage?.("scores");
  const now = await scoreThree(adapter, samples, cut, session);
  const changes = engineChanges(recipe.engine, now.engine);
  let before: RecipeScores = recipe.scores;
  if (changes.length > 0) {
    if (isNew) {
      await requireUnchanged(recipe, { ...files, adapter: await recorded() }, signal);
      await using old = await model.loadAdapter(recordedAdapter, { signal, per: recipe.adapter.per });
      before = (await scoreThree(old, samples, cut, session)).scores;
    } else {
      before = now.scores;
    }
  }
  const scores = judgeScores(
    before,
    now.scores,
    samples.samples.map(({ group }) => group),
    Int32Array.from(samples.samples, scoredCount),
    recipe.judging,
  );
  return {
    schema: "lora-boundary/verification@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command,
    recipe: { path, version: recipe.version, createdAt: recipe.createdAt },
    model: { path: model.path },
    adapter: { path: source, isNew },
    samples: { path: samplesPath, count: samples.samples.length },
    cut: { id: recipe.cut.id, scales: recipe.cut.scales },
    margin: recipe.judging.margin,
    confidence: recipe.judging.confidence,
    engine: { llamaCpp: now.engine.llamaCpp, backend: now.engine.backend, changes },
    checks: { trim, ...scores },
    passed: [trim, scores.gain, scores.full, scores.recorded].every(({ passed }) => passed),
    scores: { recorded: before, now: now.scores },
  };
}

/** The recorded backend, unless another one is asked for. */
function gpuOf({ backend }: RecipeEngine): Gpu {
  if (backend === "CPU") return "none";
  return GPU_CHOICES.find((gpu) => gpu === backend.toLowerCase()) ?? "auto";
}

function devicesOf({ gpu, gpuLayers, devices, rpc, splitMode, tensorSplit }: VerifyOptions): DeviceOptions {
  return { ...(gpu && { gpu }), gpuLayers, devices, rpc, splitMode, tensorSplit };
}

async function sameSamples(
  { samples: recorded }: Recipe,
  path: string,
  model: Model,
  signal: AbortSignal | undefined,
): Promise<SampleSet> {
  const set = await readSamples(path, model, { ...recorded.reading, signal });
  const lines = set.samples.map(({ line }) => line);
  if (lines.join() === recorded.lines.join()) return set;
  throw new InputError(
    "RECIPE_SAMPLES",
    `${path}: expected the ${recorded.lines.length} samples of the recipe but this version of lora-boundary reads ${lines.length} others from the same file: verify with the version that made the recipe, or calibrate again.`,
    { details: { path, expected: recorded.lines.length, received: lines.length } },
  );
}

/** @param recorded hash of the file that the recipe's own adapter gave; null for another adapter */
async function trimAgain(
  adapter: Adapter,
  samples: SampleSet,
  cut: LayerScales,
  recorded: string | null,
  session: Parameters<typeof writeVerified>[4],
): Promise<TrimCheck> {
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-verify-"));
  try {
    const path = join(folder, "cut.gguf");
    const { bytes, maxLogitDifference } = await writeVerified(adapter, samples, { id: "cut", ...cut }, path, session);
    const isSame = recorded === null || (await tensorsHashOf(await readAdapter(path), session?.signal)) === recorded;
    return { passed: isSame, bytes, maxLogitDifference, failure: isSame ? null : "other-tensors" };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return { passed: false, bytes: null, maxLogitDifference: null, failure: "other-logits" };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What makes the recorded scores no partners for new ones. */
function engineChanges(recipe: RecipeEngine, now: RecipeEngine): readonly string[] {
  const recorded = { ...recipe, fusedLora: recipe.fusedLora ?? false };
  const names = {
    llamaCpp: "llama.cpp",
    backend: "backend",
    systemInfo: "the processor's kernels",
    packing: "packing of the samples",
    rankMultiple: "padding of ranks",
    fusedLora: "fused LoRA products",
  } as const;
  const keys = Object.keys(names) as (keyof typeof names)[];
  return keys
    .filter((key) => recorded[key] !== now[key])
    .map((key) =>
      key === "packing" || key === "systemInfo" ? names[key] : `${names[key]} (${recorded[key]}, now ${now[key]})`,
    );
}
