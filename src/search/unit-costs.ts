import type { Unit } from "./scorer.js";

/** A mean and the samples behind it. */
export interface Measured {
  readonly mean: number;
  readonly samples: number;
}

/** What a measurement of the round before counts for beside one of this round: others have gone since. */
const OF_LAST_ROUND = 0.5;

/**
 * What it costs to leave out each unit, from looks at batches. Batches differ by more than units do, so units are compared
 * within a look only: a cost is relative to the mean of those that took part in every look of the round.
 */
export class UnitCosts {
  /** Of the rounds before. */
  readonly #known = new Map<Unit, Measured>();
  /** Of this round, one per look that the unit took part in; nobody joins later. */
  readonly #looks = new Map<Unit, Measured[]>();

  /** One look: mean scores on the same batches, of units that took part in all looks of this round so far. */
  add(units: readonly Unit[], measured: readonly Measured[]): void {
    for (const [index, unit] of units.entries()) {
      const seen = measured[index];
      if (seen !== undefined) this.#looks.set(unit, [...(this.#looks.get(unit) ?? []), seen]);
    }
  }

  /** Units in the order of what is known of them before the round, those never measured first. */
  byKnown(units: readonly Unit[]): Unit[] {
    const cost = (unit: Unit) => this.#known.get(unit)?.mean ?? -Infinity;
    return [...units].sort((a, b) => cost(a) - cost(b) || 0);
  }

  /** Those that took part in the last look, cheapest first. */
  ranked(units: readonly Unit[]): Unit[] {
    const costs = this.#costs(units, units);
    return [...units].sort((a, b) => (costs.get(a)?.mean ?? 0) - (costs.get(b)?.mean ?? 0));
  }

  /** @param last units that took part in every look */
  endRound(last: readonly Unit[]): void {
    for (const [unit, cost] of this.#costs([...this.#looks.keys()], last)) this.#known.set(unit, cost);
    this.#looks.clear();
  }

  /** Relative to the mean of `last`, pooled with what was known, which is taken relative to the same units. */
  #costs(units: readonly Unit[], last: readonly Unit[]): ReadonlyMap<Unit, Measured> {
    const looks = Math.max(0, ...last.map((unit) => this.#looks.get(unit)?.length ?? 0));
    const levels = Array.from({ length: looks }, (_, look) =>
      average(last.flatMap((unit) => this.#looks.get(unit)?.[look]?.mean ?? [])),
    );
    const before = last.flatMap((unit) => this.#known.get(unit)?.mean ?? []);
    const level = average(before);
    const costs = new Map<Unit, Measured>();
    for (const unit of units) {
      const parts = (this.#looks.get(unit) ?? []).map(({ mean, samples }, look) => ({
        mean: mean - (levels[look] ?? 0),
        samples,
      }));
      const known = this.#known.get(unit);
      if (known !== undefined && before.length > 0) {
        parts.push({ mean: known.mean - level, samples: OF_LAST_ROUND * known.samples });
      }
      const samples = parts.reduce((sum, part) => sum + part.samples, 0);
      costs.set(unit, { mean: parts.reduce((sum, part) => sum + part.mean * part.samples, 0) / samples, samples });
    }
    return costs;
  }
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
