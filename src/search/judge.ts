import { InternalError } from "../errors.js";
import { adaptedLayers, adaptedSize, type Candidate } from "../lora/candidate.js";
import type { CandidateResult, CriticalValueTest, Gate, Interval, Verdict } from "../result.js";
import { FEWEST_UNITS, maxTCriticalValue } from "./bootstrap.js";
import { completedScores } from "./complete-scores.js";
import { judgeGate } from "./gate.js";
import { completeJudgeOptions, type JudgeOptions } from "./judge-options.js";
import { giveUpAt } from "./give-up.js";
import { binaryRange, retentionWithUnseenLosses, withUnseenLosses, worstUnit } from "./near-binary.js";
import { turned, type Objective } from "./objective.js";
import { isUniform, referenceScores, requireScores, type ScoreTable } from "./scores.js";
import { signFlipCriticalValue } from "./sign-flip.js";
import { independentUnits, requireSpread, unitMean, type UnitMean, type Units } from "./units.js";
import { boundedMean, retentionOf, verdictOf, withoutBetter } from "./verdicts.js";

/** What a candidate is for: only a `cut` can be chosen; `dropped` has left a race; the others are what cuts are compared with. */
export type Role = "base" | "full" | "cut" | "control" | "dropped";

export interface JudgedCandidate extends Omit<CandidateResult, "perSample"> {
  readonly role: Role;
  readonly candidate: Candidate;
  /** The column of the table, NaN where not scored. */
  readonly losses: Float64Array;
  /** `adaptedLayers`, but half a layer counts half: what a choice goes by. */
  readonly adaptedSize: number;
  /** Full - candidate, nats. */
  readonly gain: UnitMean;
  /** Full + margin x (base - full) - candidate, nats: above 0 it keeps more than 1 - margin of the gain. */
  readonly marginContrast: UnitMean;
}

/** Everything that one score table proves; plain data, never touched again. */
export interface Judgement {
  readonly table: ScoreTable;
  readonly options: Required<JudgeOptions>;
  readonly units: Units;
  readonly gate: Gate;
  /** Base - full, nats: what the adapter brings. */
  readonly gateGain: UnitMean;
  /** Half-width of every bound in standard errors. */
  readonly criticalValue: number;
  /** See `CalibrationResult.test`. */
  readonly test: CriticalValueTest;
  /** In the order of the table. */
  readonly candidates: readonly JudgedCandidate[];
  /** Why nothing is claimed: a failed gate, too few samples. Null where verdicts stand. */
  readonly noClaims: "gate" | "too-few-samples" | null;
}

/**
 * Judges every candidate of a score table against the full adapter: simultaneous bounds, retention, verdict. Works on
 * any set of samples, so also on what is known when a run is cancelled.
 *
 * One critical value serves the gain and the margin contrast of every candidate in the table, controls included. The
 * full adapter is the reference: gain 0, retention 1 and `not-worse` by definition, not by proof. Below eight
 * independent samples, and after a failed gate without `force`, every other verdict is `unproven`.
 *
 * @param table must hold the full adapter (all scales 1) and the base model (all scales 0)
 * @throws UsageError MARGIN_RANGE, CONFIDENCE_RANGE, SEED_RANGE, DRAWS_RANGE, REFERENCE_MISSING, CANDIDATE_TWICE
 * @throws InputError TOO_FEW_SAMPLES with fewer than 2 independent samples: they have no spread
 * @throws BackendError SCORE_NOT_FINITE
 */
export function judge(table: ScoreTable, options: JudgeOptions): Judgement {
  const settings = completeJudgeOptions(options);
  const { margin, force } = settings;
  requireScores(table);
  const units = independentUnits(table.groups, table.tokens, settings.tokenWeighted);
  requireSpread(units);
  const base = referenceScores(table, 0, "the base model");
  const full = referenceScores(table, 1, "the full adapter");

  /** full + allowed x (base - full) - candidate */
  const contrast = (candidate: Float64Array, allowed: number): UnitMean => {
    for (let sample = 0; sample < values.length; sample++) {
      const score = full[sample] ?? 0;
      values[sample] = score + allowed * ((base[sample] ?? 0) - score) - (candidate[sample] ?? 0);
    }
    return unitMean(values, units);
  };
  const values = new Float64Array(full.length);
  // A candidate that lacks samples is compared on those that it has.
  const without = (scores: Float64Array, missing: Float64Array): Float64Array =>
    scores.map((score, sample) => (Number.isNaN(missing[sample]) ? NaN : score));
  const gateGain = contrast(full, 1);
  const gate = judgeGate(gateGain, units.count, force, settings);
  const range = binaryRange(table.perSample);
  const worst = range === null ? null : worstUnit(range, units);
  const contrasts = table.perSample.map((scores) => {
    const marginContrast = contrast(scores, margin);
    return {
      gain: contrast(scores, 0),
      margin: worst === null ? marginContrast : withUnseenLosses(marginContrast, worst),
    };
  });
  // The margin contrast is the gain plus margin x the adapter's gain, but where a column lacks samples that is another gain.
  const completed = completedScores(table, base, full);
  const tried = completed.flatMap((scores, index) => {
    const gain = scores === table.perSample[index] ? at(contrasts, index).gain : contrast(scores, 0);
    return gain.count === units.count ? [gain] : [gain, contrast(scores, margin)];
  });
  const bootstrapped = criticalValueOf(tried, gateGain, units.count, settings);
  const flipped = (): number => {
    const gains = completed.map((scores) => full.map((score, sample) => score - (scores[sample] ?? NaN)));
    return signFlipCriticalValue(gains, units, settings);
  };
  const criticalValue = worst === null ? bootstrapped : Math.max(bootstrapped, flipped());
  const noClaims = units.count < FEWEST_UNITS ? "too-few-samples" : gate.passed || force ? null : "gate";

  const retention = (role: Role, gain: UnitMean, gateThere: UnitMean, critical: number): Interval | null => {
    const observed = retentionOf(gain, gateThere, critical);
    if (observed === null || worst === null || role === "full" || role === "base") return observed;
    return { ...observed, low: retentionWithUnseenLosses(gain, gateThere, critical, worst, observed.low) };
  };
  const candidates = table.candidates.map((candidate, index): JudgedCandidate => {
    const scores = at(table.perSample, index);
    const { gain, margin: marginContrast } = at(contrasts, index);
    const { mean, se } = unitMean(scores, units);
    const gap = table.gaps?.[index] ?? null;
    const role = gap?.dropped === true ? "dropped" : roleOf(candidate);
    const critical = role === "dropped" ? Math.max(criticalValue, giveUpAt(gain.count)) : criticalValue;
    const gainVsFull = boundedMean(gain, critical);
    const gateThere = gap === null ? gateGain : contrast(without(full, scores), 1);
    return {
      id: candidate.id,
      family: candidate.family,
      layerScales: candidate.layerScales,
      adaptedLayers: adaptedLayers(candidate, settings.coveredLayers),
      adaptedSize: adaptedSize(candidate, settings.coveredLayers),
      samples: gap?.samples ?? scores.length,
      mean,
      sem: se,
      gainVsFull,
      retention: gate.passed ? retention(role, gain, gateThere, critical) : null,
      verdict: verdictAt(criticalValue, { role, gain, marginContrast }, { gate, noClaims, options: settings }),
      droppedAfter: role === "dropped" ? (gap?.samples ?? null) : null,
      role,
      candidate,
      losses: scores,
      gain,
      marginContrast,
    };
  });
  const test = worst === null ? "bootstrap" : "sign-flip";
  return { table, options: settings, units, gate, gateGain, criticalValue, test, candidates, noClaims };
}

/** What bounds so many standard errors away prove of a candidate. */
export function verdictAt(
  criticalValue: number,
  { role, gain, marginContrast }: Pick<JudgedCandidate, "role" | "gain" | "marginContrast">,
  { gate, noClaims, options }: Pick<Judgement, "gate" | "noClaims" | "options">,
): Verdict {
  if (role === "full") return "not-worse";
  if (noClaims !== null || role === "dropped") return "unproven";
  const bounds = boundedMean(gain, criticalValue);
  const margin = gate.passed ? boundedMean(marginContrast, criticalValue) : null;
  return options.inSample ? withoutBetter(bounds, margin) : verdictOf(bounds, margin);
}

function criticalValueOf(
  means: readonly UnitMean[],
  gateGain: UnitMean,
  units: number,
  settings: Required<JudgeOptions>,
): number {
  const noisy = means.filter(({ flat }) => !flat);
  const counts = noisy.map(({ count }) => count);
  return maxTCriticalValue(
    noisy.map(({ residuals }) => residuals),
    units,
    { ...settings, counts, ...(!gateGain.flat && { tilt: { residuals: gateGain.residuals, share: settings.margin } }) },
  );
}

function roleOf(candidate: Candidate): Role {
  if (isUniform(candidate, 1)) return "full";
  if (isUniform(candidate, 0)) return "base";
  return candidate.family === "scale" ? "control" : "cut";
}

/** `requireScores` has checked the lengths. */
function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new InternalError("SCORE_SHAPE", `No item ${index} of ${items.length}.`);
  return item;
}

/** The part of a judged candidate that goes into the result object, with its scores on the objective's own scale. */
export function candidateResult(judged: JudgedCandidate, objective: Objective): CandidateResult {
  const { id, family, layerScales, adaptedLayers, samples, sem, gainVsFull, retention, verdict, droppedAfter } = judged;
  const { feedForwardScales } = judged.candidate;
  return {
    id,
    family,
    layerScales,
    ...(feedForwardScales && { feedForwardScales }),
    adaptedLayers,
    samples,
    mean: turned([judged.mean], objective)[0] ?? NaN,
    sem,
    gainVsFull,
    retention,
    verdict,
    droppedAfter,
    perSample: Array.from<number, number | null>(turned(judged.losses, objective), (score) =>
      Number.isNaN(score) ? null : score,
    ),
  };
}
