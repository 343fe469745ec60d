import { InternalError } from "../errors.js";

/**
 * Whether the right choice is the likeliest: 1 or 0. Of k choices that are equally likely, the right one among them, 1 / k:
 * what guessing between them would score.
 *
 * @param losses negative log-likelihood of each choice, in nats; summed or per token is the caller's question
 * @param right index of the right choice
 * @throws InternalError where the index names no choice or a loss is not a number
 */
export function choiceScore(losses: ArrayLike<number>, right: number): number {
  const all = Array.from(losses);
  const own = all[right];
  if (own === undefined || all.some(Number.isNaN)) {
    throw new InternalError("CHOICE_SHAPE", `Expected losses of all choices, with choice ${right} among them.`);
  }
  if (all.some((loss) => loss < own)) return 0;
  return 1 / all.filter((loss) => loss === own).length;
}
