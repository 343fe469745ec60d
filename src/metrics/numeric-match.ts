import { InputError } from "../errors.js";
import type { Metric } from "./metric.js";

/**
 * Digits, in groups of three or without, with decimals and an exponent. A minus belongs to the number only where no letter
 * or digit stands before it: `10-12` is a range, `x-3` a name.
 */
const NUMBER =
  /(?:(?<![\p{L}\p{N}])[-\u2212])?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+(?![\p{L}\d]))?/gu;

/** Null where a text holds no number. */
export function lastNumber(text: string): number | null {
  const found = text.match(NUMBER)?.at(-1);
  return found === undefined ? null : Number(found.replaceAll(",", "").replace("\u2212", "-"));
}

/**
 * 1 where the last number of the answer equals the last number of a reference (`#### 42`, `the answer is 42.0`). Equal means
 * equal as doubles: 0.5 and 1/2 are not compared. An answer without a number scores 0.
 */
export const numericMatch: Metric = {
  name: "numeric",
  higherIsBetter: true,
  unit: "of 1",
  perSample: (answer, references, { line }) => {
    const expected = references.map(lastNumber).filter((number) => number !== null);
    if (expected.length === 0) {
      throw new InputError(
        "METRIC_NO_NUMBER",
        `Expected a number in the reference of line ${line} for \`numeric\` but found none; give the number as reference, or take another metric.`,
        { details: { line, metric: "numeric" } },
      );
    }
    const number = lastNumber(answer);
    return number !== null && expected.includes(number) ? 1 : 0;
  },
  corpus: null,
};
