import type { Interval } from "../result.js";
import { choose, type Goal } from "./choose.js";
import { completeJudgeOptions, type JudgeOptions } from "./judge-options.js";
import { judge } from "./judge.js";
import { seededRandom, shuffledIndices } from "./resample.js";
import { isUniform, tableOfSamples, type ScoreTable } from "./scores.js";
import { studentCriticalValue } from "./student.js";
import { independentUnits, requireSpread, unitMean } from "./units.js";
import { boundedMean } from "./verdicts.js";

export interface CrossFit {
  /** Full - chosen on samples that had no part in the choice, nats per token, with the interval of one mean. */
  readonly gain: Interval;
  /** What each fold chose without its own samples; null: nothing proven, so the full adapter with gain 0. */
  readonly chosen: readonly (string | null)[];
}

export interface CrossFitOptions extends JudgeOptions {
  readonly goal: Goal;
  /** Default 5, never more than there are independent samples. */
  readonly folds?: number;
  /** Names of what no fold may choose; default none. */
  readonly excluded?: ReadonlySet<string>;
}

/** The quantile of a fold only steers its choice, so it may be rougher than the one that makes claims. */
const FOLD_DRAWS = 499;

/**
 * An honest size of the gain: the winner's own mean on the samples that made it win is too good. In each fold the whole
 * procedure (gate, critical value, verdicts, choice) runs on the other folds, and its choice is scored on the
 * fold left out; those per-sample gains together give the mean (cross-fitting: Chernozhukov et al. 2018).
 * It is the gain of the procedure at 4/5 of the samples. The interval is Student's t with the cluster-robust standard error
 * and G - 1 degrees of freedom.
 *
 * Folds keep groups whole and depend on the seed and the order of samples only.
 */
export function crossFitGain(table: ScoreTable, options: CrossFitOptions): CrossFit {
  const { folds = 5, goal, excluded } = options;
  const settings = completeJudgeOptions(options);
  const units = independentUnits(table.groups, table.tokens, settings.tokenWeighted);
  requireSpread(units);
  const count = Math.min(folds, units.count);
  const foldOfUnit = new Int32Array(units.count);
  for (const [position, unit] of shuffledIndices(units.count, seededRandom(settings.seed, 2)).entries()) {
    foldOfUnit[unit] = position % count;
  }
  const samples = Array.from(units.ofSample, (unit, sample) => ({ sample, fold: foldOfUnit[unit] ?? 0 }));
  const full = table.perSample[table.candidates.findIndex((candidate) => isUniform(candidate, 1))];
  const gains = new Float64Array(samples.length);
  const chosen: (string | null)[] = [];
  for (let fold = 0; fold < count; fold++) {
    const others = samples.filter((it) => it.fold !== fold).map(({ sample }) => sample);
    const id = chosenOn(tableOfSamples(table, others), { ...settings, draws: FOLD_DRAWS }, goal, excluded);
    chosen.push(id);
    const scores = table.perSample[table.candidates.findIndex((candidate) => candidate.id === id)];
    if (scores === undefined) continue;
    for (const it of samples) {
      if (it.fold === fold) gains[it.sample] = (full?.[it.sample] ?? 0) - (scores[it.sample] ?? 0);
    }
  }
  const critical = studentCriticalValue(settings.confidence, units.count - 1);
  return { gain: boundedMean(unitMean(gains, units), critical), chosen };
}

function chosenOn(
  table: ScoreTable,
  options: JudgeOptions,
  goal: Goal,
  excluded: CrossFitOptions["excluded"],
): string | null {
  // Two folds of two units leave one: nothing to judge, so nothing chosen.
  if (new Set(table.groups).size < 2) return null;
  return choose(judge(table, options), goal, excluded)?.id ?? null;
}
