import type { ScoreTable } from "./scores.js";

/**
 * The score columns with the gaps of dropped candidates filled in, to learn how all candidates move together; nothing is said
 * of a candidate by a filled-in score. A missing difference to the full adapter is predicted from the column that goes best with
 * it, plus the error of that prediction on a sample that every candidate has (stochastic regression imputation with errors
 * drawn from donors: Little & Rubin 2002, 4.3). Who left late is filled in first and then serves to predict the earlier ones. The
 * donors are the same for all, so that errors move together as they did there.
 *
 * @param base scores of the base model, `full` of the full adapter, both complete
 * @returns columns in the order of the table; those of candidates that were not dropped as they are
 */
export function completedScores(table: ScoreTable, base: Float64Array, full: Float64Array): readonly Float64Array[] {
  const isDropped = (index: number) => table.gaps?.[index]?.dropped === true;
  const isThere = (score: number | undefined) => score !== undefined && !Number.isNaN(score);
  const dropped = table.perSample.filter((_, index) => isDropped(index));
  const everySample = Array.from(full, (_, sample) => sample);
  const donors = everySample.filter((sample) => dropped.every((scores) => isThere(scores[sample])));
  if (dropped.length === 0 || donors.length === 0) return table.perSample;
  const differences = (scores: Float64Array) => full.map((score, sample) => score - (scores[sample] ?? NaN));
  const predictors = table.perSample
    .filter((scores) => scores !== full && scores !== base && everySample.every((sample) => isThere(scores[sample])))
    .map(differences)
    .concat(differences(base));
  const known = table.perSample.map((scores) => everySample.filter((sample) => isThere(scores[sample])));
  const completed = [...table.perSample];
  const order = completed.flatMap((_, index) => (isDropped(index) ? [index] : [])).reverse();
  order.sort((a, b) => (known[b]?.length ?? 0) - (known[a]?.length ?? 0));
  for (const index of order) {
    const scores = completed[index] ?? full;
    const own = differences(scores);
    const lines = predictors.map((predictor) => ({ predictor, ...lineThrough(predictor, own, known[index] ?? []) }));
    const { predictor, slope, intercept } = lines.reduce((a, b) => (b.explained > a.explained ? b : a));
    const expected = (sample: number) => intercept + slope * (predictor[sample] ?? 0);
    let turn = 0;
    completed[index] = scores.map((score, sample) => {
      if (isThere(score)) return score;
      const donor = donors[turn++ % donors.length] ?? 0;
      return (full[sample] ?? 0) - expected(sample) - ((own[donor] ?? 0) - expected(donor));
    });
    predictors.push(differences(completed[index]));
  }
  return completed;
}

/** Least squares; `explained` is the squared correlation. */
function lineThrough(x: Float64Array, y: Float64Array, samples: readonly number[]) {
  const meanOf = (values: Float64Array) =>
    samples.reduce((sum, sample) => sum + (values[sample] ?? 0), 0) / samples.length;
  const [meanX, meanY] = [meanOf(x), meanOf(y)];
  let [xx, xy, yy] = [0, 0, 0];
  for (const sample of samples) {
    const [dx, dy] = [(x[sample] ?? 0) - meanX, (y[sample] ?? 0) - meanY];
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  const slope = xx > 0 ? xy / xx : 0;
  return { slope, intercept: meanY - slope * meanX, explained: xx > 0 && yy > 0 ? (xy * xy) / (xx * yy) : 0 };
}
