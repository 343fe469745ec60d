import { scoredCount, type Sample } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { LensScores } from "../engine/lens-scores.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { seededRandom, shuffledIndices } from "../search/resample.js";
import { independentUnits, requireSpread, unitMean, type Units } from "../search/units.js";
import type { Lens, LensLayer, Reading } from "./analysis.js";
import { effectCandidates } from "./layer-effects.js";
import { lensShare } from "./lens-cost.js";

/** Share of the whole fall of the NLL that is made at the knee. */
export const KNEE_SHARE = 0.9;

export interface LensOptions extends ScoreSessionOptions {
  readonly signal?: AbortSignal;
}

/** Of a `Model`, what decides whether it has a lens. */
export interface LensModel {
  readonly facts: { readonly isRecurrent: boolean; readonly isHybrid: boolean };
  readonly file: { readonly architecture: string };
}

/** Fewest samples for a standard error that means something. */
const FEWEST_SAMPLES = 8;

/**
 * The paper's manual way: how well every layer's output, read through the model's own output norm and head, tells the
 * true tokens, with the full adapter and without. Where the vocabulary is large beside the layers, a random part of the
 * samples is read, so that it costs at most half of an exhaustive boundary search. A picture and a hint; the search is what proves.
 *
 * @returns null where layers are recurrent, and where there is no border between the last layer and the output norm
 * @throws InputError TOO_FEW_SAMPLES; MemoryError, BackendError, CancelledError
 */
export async function lens(adapter: Adapter, all: readonly Sample[], options: LensOptions = {}): Promise<Lens | null> {
  const samples = cheapEnough(adapter, all, options.seed ?? 0);
  const units = independentUnits(
    samples.map(({ group }) => group),
    Int32Array.from(samples, scoredCount),
    false,
  );
  requireSpread(units);
  const [fullAdapter, baseModel] = effectCandidates(adapter.model.layers, []);
  if (fullAdapter === undefined || baseModel === undefined) return null;
  await using session = adapter.openSession(samples, options);
  const full = await session.lens(fullAdapter, options);
  const base = full && (await session.lens(baseModel, options));
  if (full === null || base === null) return null;
  const layers = layersOf(full, units);
  return { base: layersOf(base, units), full: layers, knee: kneeOf(layers), samples: samples.length };
}

/** Where {@link lens} gives null: why, in one sentence. */
export function noLensSentence({ facts, file }: LensModel): string {
  const why =
    facts.isRecurrent || facts.isHybrid
      ? "it has recurrent layers, which may take the tokens of a batch in another order"
      : "more than one tensor crosses between its last layer and the output norm, so no layer's output can be written there";
  return `There is no lens for this model (${file.architecture}): ${why}.`;
}

/** A random part of the samples where the output head is large beside the layers; in their order. */
function cheapEnough({ model }: Adapter, samples: readonly Sample[], seed: number): readonly Sample[] {
  const tokens = samples.reduce((sum, it) => sum + it.tokens.length, 0);
  const scoredTokens = samples.reduce((sum, it) => sum + scoredCount(it), 0);
  const share = lensShare({ layers: model.layers, tensors: model.file.tensors, tokens, scoredTokens });
  const count = Math.min(samples.length, Math.max(FEWEST_SAMPLES, Math.floor(samples.length * share)));
  if (count === samples.length) return samples;
  const chosen = Array.from(shuffledIndices(samples.length, seededRandom(seed, 8)).slice(0, count));
  return chosen.sort((a, b) => a - b).flatMap((index) => samples[index] ?? []);
}

function layersOf({ layers, nll, probability, logRank }: LensScores, units: Units): readonly LensLayer[] {
  const reading = (columns: readonly Float64Array[], index: number): Reading => {
    const { mean, se } = unitMean(columns[index] ?? new Float64Array(), units);
    return { mean, se };
  };
  return layers.map((layer, index) => {
    const rank = reading(logRank, index);
    return {
      layer,
      nll: reading(nll, index),
      probability: reading(probability, index),
      rank: { mean: Math.exp(rank.mean), se: rank.se },
    };
  });
}

/** The lowest layer at and above which {@link KNEE_SHARE} of the fall from the first layer to the last is made. */
export function kneeOf(layers: readonly Pick<LensLayer, "layer" | "nll">[]): number | null {
  const [first, last] = [layers[0], layers.at(-1)];
  if (first === undefined || last === undefined || !(last.nll.mean < first.nll.mean)) return null;
  const level = first.nll.mean - KNEE_SHARE * (first.nll.mean - last.nll.mean);
  const above = layers.findLastIndex(({ nll }) => nll.mean > level);
  return layers[above + 1]?.layer ?? null;
}
