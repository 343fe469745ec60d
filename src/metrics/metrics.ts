import { bleu } from "./bleu.js";
import { chrf } from "./chrf.js";
import { exactMatch } from "./exact-match.js";
import type { Metric } from "./metric.js";
import { numericMatch } from "./numeric-match.js";
import { rougeL } from "./rouge-l.js";
import { tokenF1 } from "./token-f1.js";

/** Every built-in metric of answers, in the order of the help. */
export const METRICS: readonly Metric[] = [exactMatch, numericMatch, tokenF1, rougeL, bleu, chrf];

/** Null where no metric has that name. */
export function metricNamed(name: string): Metric | null {
  return METRICS.find((metric) => metric.name === name) ?? null;
}
