import type { CalibrationResult, CandidateResult, Interval } from "../result.js";
import { percent, signedNats } from "./numbers.js";

/** What charts and tables of a result measure: retention, or nats where the adapter gains nothing to keep a share of. */
export interface Measure {
  readonly of: (candidate: CandidateResult) => Interval | null;
  readonly axis: string;
  readonly tick: (value: number) => string;
  /** Without the unit. */
  readonly number: (value: number) => string;
  readonly unit: string;
  /** The full adapter's value. */
  readonly full: number;
  /** Where `not-worse` begins; null where there is no margin. */
  readonly margin: number | null;
}

/** How shares of the adapter's gain are written. */
export const RETENTION: Pick<Measure, "number" | "unit"> = {
  number: (share) => bounded(share, percent),
  unit: " %",
};

export function measureOf({ candidates, margin }: Pick<CalibrationResult, "candidates" | "margin">): Measure {
  if (candidates.some(({ retention }) => retention !== null)) {
    return {
      of: ({ retention }) => retention,
      axis: "kept %",
      tick: (share) => String(Math.round(share * 1000) / 10),
      ...RETENTION,
      full: 1,
      margin: 1 - margin,
    };
  }
  return {
    of: ({ gainVsFull }) => gainVsFull,
    axis: "gain over the full adapter, nats per token",
    tick: (nats) => String(Math.round(nats * 1000) / 1000),
    number: (nats) => bounded(nats, signedNats),
    unit: " nats",
    full: 0,
    margin: null,
  };
}

/** The candidate that every other one is compared with: the highest boundary. */
export function fullAdapter({ candidates }: Pick<CalibrationResult, "candidates">): CandidateResult | undefined {
  return candidates.findLast(({ family }) => family === "boundary");
}

/** `99.6 %` */
export function valueText(value: number, { number, unit }: Pick<Measure, "number" | "unit">): string {
  return number(value) + unit;
}

/** `99.6 % (98.8 to 100.6)`; the full adapter has no bounds against itself. */
export function intervalText({ mean, low, high }: Interval, measure: Pick<Measure, "number" | "unit">): string {
  const value = valueText(mean, measure);
  return low === high ? value : `${value} (${measure.number(low)} to ${measure.number(high)})`;
}

function bounded(value: number, format: (value: number) => string): string {
  return Number.isFinite(value) ? format(value) : "unbounded";
}

/** The boundary that a name says, null for other shapes: `upto:17` is 17. */
export function boundaryOf({ id, family }: Pick<CandidateResult, "id" | "family">): number | null {
  const number = family === "boundary" ? Number(id.split(":")[1]) : NaN;
  return Number.isInteger(number) ? number : null;
}
