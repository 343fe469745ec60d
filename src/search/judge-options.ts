import { UsageError } from "../errors.js";
import { DEFAULT_DRAWS } from "./bootstrap.js";
import { NLL, type Objective } from "./objective.js";

export interface JudgeOptions {
  /** Layers that the adapter covers, counted from 0. */
  readonly coveredLayers: readonly number[];
  /** Share of the adapter's gain that may be lost, in (0, 1); default 0.02. */
  readonly margin?: number;
  /** Of all bounds together, in (0, 1); default 0.95. */
  readonly confidence?: number;
  /** A whole number from 0; default 0. */
  readonly seed?: number;
  /** Bootstrap draws, at least 99; default 3999. */
  readonly draws?: number;
  /** Samples weigh by their scored tokens; default false: all the same. */
  readonly tokenWeighted?: boolean;
  /** Judge although the gate failed; default false. */
  readonly force?: boolean;
  /** The adapter was trained on these samples, which flatters it: nothing is called `better`. Default false. */
  readonly inSample?: boolean;
  /** What the table's losses are, for words and for telling scores on their own scale; default NLL. */
  readonly objective?: Objective;
}

export const DEFAULT_MARGIN = 0.02;
export const DEFAULT_CONFIDENCE = 0.95;

/** @throws UsageError MARGIN_RANGE, CONFIDENCE_RANGE, SEED_RANGE, DRAWS_RANGE */
export function completeJudgeOptions(options: JudgeOptions): Required<JudgeOptions> {
  const {
    coveredLayers,
    margin = DEFAULT_MARGIN,
    confidence = DEFAULT_CONFIDENCE,
    seed = 0,
    draws = DEFAULT_DRAWS,
    tokenWeighted = false,
    force = false,
    inSample = false,
    objective = NLL,
  } = options;
  if (!(margin > 0 && margin < 1)) refuse("margin", "a number between 0 and 1", margin);
  if (!(confidence > 0 && confidence < 1)) refuse("confidence", "a number between 0 and 1", confidence);
  if (!(Number.isSafeInteger(seed) && seed >= 0)) refuse("seed", "a whole number from 0", seed);
  if (!(Number.isSafeInteger(draws) && draws >= 99)) refuse("draws", "a whole number of at least 99", draws);
  return { coveredLayers, margin, confidence, seed, draws, tokenWeighted, force, inSample, objective };
}

function refuse(option: string, expected: string, received: number): never {
  throw new UsageError(
    `${option.toUpperCase()}_RANGE`,
    `Expected ${expected} for \`${option}\` but received ${received}.`,
    { details: { option, received } },
  );
}
