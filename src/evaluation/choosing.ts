import type { ChoiceSample } from "../data/choices.js";
import { scoredCount } from "../data/sample.js";
import { choiceScore } from "../metrics/choice-accuracy.js";
import type { Objective } from "../search/objective.js";

/**
 * Rows with choices: 1 where the right one is the likeliest, by negative log-likelihood per character of the choice, else 0; that is
 * `acc_norm` of lm-evaluation-harness, which choices of unequal length need.
 */
export const CHOICE: Objective = { name: "choice", higherIsBetter: true, unit: "points of 1" };

/** All choices of all samples, one after another: what is scored to tell the right ones. */
export function allChoices(samples: readonly ChoiceSample[]) {
  return samples.flatMap(({ choices }) => choices.options);
}

/**
 * Whether each sample's right choice is the likeliest, per character of the choice: 1 or 0, shared between equals.
 *
 * @param losses mean NLL per scored token of `allChoices`, in their order; NaN where not scored
 * @returns one per sample; NaN where a choice was not scored
 */
export function choiceScores(samples: readonly ChoiceSample[], losses: Float64Array): Float64Array {
  let at = 0;
  return Float64Array.from(samples, ({ choices: { options, characters, right } }) => {
    const perCharacter = options.map(
      (option, choice) => ((losses[at + choice] ?? NaN) * scoredCount(option)) / (characters[choice] ?? NaN),
    );
    at += options.length;
    return perCharacter.some(Number.isNaN) ? NaN : choiceScore(perCharacter, right);
  });
}
