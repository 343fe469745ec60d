import type { Gate } from "../result.js";
import { FEWEST_UNITS, maxTCriticalValue, type BootstrapOptions } from "./bootstrap.js";
import type { UnitMean } from "./units.js";
import { boundedMean } from "./verdicts.js";

/**
 * Whether the full adapter beats the base model on these samples at all. It is asked once, before and apart from any
 * choice, so its bound is that of a single contrast. A failed gate is `no-gain` where the data prove that the adapter
 * brings nothing (upper bound below 0, or no score changed), else `too-few`.
 *
 * @param gain base - full
 * @param units independent units, G; below `FEWEST_UNITS` it cannot pass
 * @param forced go on after a failed gate
 */
export function judgeGate(gain: UnitMean, units: number, forced: boolean, options: BootstrapOptions): Gate {
  const critical = maxTCriticalValue(gain.flat ? [] : [gain.residuals], units, options);
  const interval = boundedMean(gain, critical);
  const enough = units >= FEWEST_UNITS;
  const passed = enough && interval.low > 0;
  // An adapter that changes no score at all is proven no better, not unsure; copies of one loss are no proof.
  const noGain = enough && (interval.high < 0 || (gain.flat && gain.mean === 0));
  return {
    passed,
    gain: interval,
    failure: passed ? null : noGain ? "no-gain" : "too-few",
    forced: forced && !passed,
  };
}
