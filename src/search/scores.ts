import { BackendError, InputError, InternalError, UsageError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";

/** Why a candidate lacks scores on some samples. */
export interface Gap {
  /** It left a race: nothing can be claimed about it. Else it was judged only on samples that had no part in finding it. */
  readonly dropped: boolean;
  /** How many samples it was scored on; on all others its score is NaN. */
  readonly samples: number;
}

/** Scores of candidates on the same samples in the same packing; all that statistics ever sees. */
export interface ScoreTable {
  readonly candidates: readonly Candidate[];
  /**
   * Per candidate, in the order of `candidates`: its loss on every sample, lower is better: mean NLL per scored
   * token in nats, or whatever the objective is, turned where higher is better (`objective.ts`).
   */
  readonly perSample: readonly Float64Array[];
  /** Per candidate: null where it was scored on all samples. Default: all were. */
  readonly gaps?: readonly (Gap | null)[];
  /** Scored tokens of every sample. */
  readonly tokens: Int32Array;
  /** Group name of every sample; samples of one group are drawn together. */
  readonly groups: readonly string[];
}

/** The same candidates on some of the samples, in the given order. */
export function tableOfSamples(table: ScoreTable, samples: ArrayLike<number>): ScoreTable {
  const indices = Array.from(samples);
  return {
    candidates: table.candidates,
    perSample: table.perSample.map((scores) => columnOfSamples(scores, indices)),
    ...(table.gaps && {
      gaps: table.gaps.map((gap, index): Gap | null => {
        const samples = indices.filter((sample) => !Number.isNaN(table.perSample[index]?.[sample])).length;
        return gap && { ...gap, samples };
      }),
    }),
    tokens: Int32Array.from(indices, (sample) => table.tokens[sample] ?? 0),
    groups: indices.map((sample) => table.groups[sample] ?? ""),
  };
}

function columnOfSamples(scores: Float64Array, samples: readonly number[]): Float64Array {
  const column = new Float64Array(samples.length);
  for (let index = 0; index < samples.length; index++) column[index] = scores[samples[index] ?? 0] ?? NaN;
  return column;
}

/** The same samples with more candidates behind those already there. */
export function tableWith(
  table: ScoreTable,
  candidates: readonly Candidate[],
  perSample: readonly Float64Array[],
): ScoreTable {
  return {
    ...table,
    candidates: [...table.candidates, ...candidates],
    perSample: [...table.perSample, ...perSample],
    ...(table.gaps && { gaps: [...table.gaps, ...candidates.map(() => null)] }),
  };
}

/** Every layer and both global pairs at one strength: 0 is the base model, 1 the full adapter. */
export function isUniform(candidate: Candidate, strength: number): boolean {
  const { layerScales, feedForwardScales = layerScales, inputScale, outputScale } = candidate;
  return [inputScale, outputScale, ...layerScales, ...feedForwardScales].every((scale) => scale === strength);
}

/** @throws UsageError REFERENCE_MISSING where no candidate has this one strength everywhere */
export function referenceScores({ candidates, perSample }: ScoreTable, strength: number, name: string): Float64Array {
  const scores = perSample[candidates.findIndex((candidate) => isUniform(candidate, strength))];
  if (scores !== undefined) return scores;
  throw new UsageError("REFERENCE_MISSING", `Expected ${name} (all scales ${strength}) among the candidates.`);
}

/**
 * @throws InternalError SCORE_SHAPE where lengths differ
 * @throws UsageError CANDIDATE_TWICE
 * @throws InputError TOO_FEW_SAMPLES without samples
 * @throws BackendError SCORE_NOT_FINITE with candidate and sample in `details`
 */
export function requireScores({ candidates, perSample, gaps, tokens, groups }: ScoreTable): void {
  if (groups.length === 0) {
    throw new InputError("TOO_FEW_SAMPLES", "Expected at least 2 independent samples but received none: add samples.");
  }
  if (perSample.length !== candidates.length || tokens.length !== groups.length) {
    throw new InternalError(
      "SCORE_SHAPE",
      `Expected scores of ${candidates.length} candidates on ${groups.length} samples but received ${perSample.length} on ${tokens.length}.`,
    );
  }
  const seen = new Set<string>();
  for (const [index, { id }] of candidates.entries()) {
    if (seen.has(id)) {
      throw new UsageError("CANDIDATE_TWICE", `Expected every candidate once but received \`${id}\` twice.`, {
        details: { candidate: id },
      });
    }
    seen.add(id);
    const scores = perSample[index];
    if (scores?.length !== groups.length) {
      throw new InternalError(
        "SCORE_SHAPE",
        `Expected ${groups.length} scores of \`${id}\` but received ${scores?.length ?? 0}.`,
        { details: { candidate: id } },
      );
    }
    const sample = scores.findIndex((score) => !Number.isFinite(score));
    const gap = gaps?.[index];
    const scored = gap && scores.reduce((count, score) => count + (Number.isFinite(score) ? 1 : 0), 0);
    if (sample >= 0 && (gap == null || scored !== gap.samples)) {
      throw new BackendError(
        "SCORE_NOT_FINITE",
        `Expected a finite score but received ${scores[sample] ?? NaN} for candidate \`${id}\` on sample ${sample}: the model or the backend computes numbers that overflow; try another backend or quantisation.`,
        { details: { candidate: id, sample } },
      );
    }
  }
}
