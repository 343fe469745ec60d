import type { CalibrationResult, CandidateResult } from "../result.js";
import { fullAdapter } from "./measure.js";

/** How one sample fares under a candidate. */
export interface SampleDifference {
  /** In its file, 1-based. */
  readonly line: number;
  /** Mean NLL per scored token, nats. */
  readonly full: number;
  readonly candidate: number;
  /** Full minus candidate: above 0 the candidate predicts this sample better. */
  readonly gain: number;
}

export interface SampleComparison {
  readonly candidate: CandidateResult;
  /** Whether it is the chosen one; else the cut that kept most, shown because nothing is chosen. */
  readonly isChosen: boolean;
  /** Largest gain first; equal ones by line. */
  readonly differences: readonly SampleDifference[];
}

/** The chosen candidate, or the best other one, against the full adapter; null where there is none scored on all samples. */
export function compareSamples(result: CalibrationResult): SampleComparison | null {
  const full = fullAdapter(result);
  const { candidates, data, selected } = result;
  if (full?.samples !== data.samples) return null;
  const complete = candidates.filter((it) => it !== full && it.samples === data.samples);
  const chosen = complete.find(({ id }) => id === selected?.candidate.id);
  const best = complete.filter(({ family }) => family === "boundary").sort((a, b) => a.mean - b.mean)[0];
  const candidate = chosen ?? best;
  if (candidate === undefined) return null;
  const differences = data.lines.map((line, sample) => {
    const [of, against] = [candidate.perSample[sample] ?? NaN, full.perSample[sample] ?? NaN];
    return { line, full: against, candidate: of, gain: against - of };
  });
  differences.sort((a, b) => b.gain - a.gain || a.line - b.line);
  return { candidate, isChosen: chosen !== undefined, differences };
}
