import { createHash } from "node:crypto";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { engineFacts } from "../engine/backend.js";
import type { CacheType } from "../engine/context-options.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import type { Candidate, Family } from "../lora/candidate.js";
import type { LayerScales } from "../lora/layer-grammar.js";
import type { Recipe, RecipeEngine, RecipeScores } from "./recipe.js";

/** What one scoring of base, full adapter and cut gives. */
export interface ScoredThree {
  readonly scores: RecipeScores;
  readonly engine: RecipeEngine;
  readonly session: Recipe["session"];
}

/** Scores the three in one session, in an order of samples that follows from `seed` alone. */
export async function scoreThree(
  adapter: Adapter,
  { samples }: SampleSet,
  cut: LayerScales,
  options: ScoreSessionOptions & { readonly seed: number; readonly signal?: AbortSignal | undefined },
): Promise<ScoredThree> {
  await using session = adapter.openSession(samples, options);
  const { layers } = adapter.model;
  const candidates = [uniform("base", layers, 0), uniform("full", layers, 1), { ...cut, id: "cut", family }];
  const [base, full, cutScores] = (await session.score(candidates, { signal: options.signal })).map((scores) => [
    ...scores,
  ]);
  const { flashAttention, keyType, valueType } = session.context;
  const { llamaCpp, systemInfo } = await engineFacts();
  return {
    scores: { base: base ?? [], full: full ?? [], cut: cutScores ?? [] },
    engine: {
      llamaCpp,
      backend: adapter.model.placement.backend,
      systemInfo,
      packing: createHash("sha256").update(JSON.stringify(session.batches)).digest("hex"),
      rankMultiple: adapter.rankMultiple,
      fusedLora: adapter.fusedLora,
    },
    session: {
      threads: session.threads,
      batchTokens: session.batchTokens,
      loss: session.facts.loss ?? "host",
      flashAttention,
      // Only such types are accepted, see `contextChoice`.
      cacheTypeK: keyType as CacheType,
      cacheTypeV: valueType as CacheType,
    },
  };
}

/** Scoring reads the strengths alone: the family is a candidate's place in a search, and here is none. */
const family: Family = "scale";

function uniform(id: string, layers: number, scale: number): Candidate {
  return { id, family, layerScales: new Array<number>(layers).fill(scale), inputScale: scale, outputScale: scale };
}
