import type { CalibrationResult } from "../result.js";

type Judged = Pick<CalibrationResult, "objective" | "objectiveScale" | "inSample">;

/** Of every difference: `nats per token`, `points of 100`. */
export function unitOf({ objectiveScale }: Pick<Judged, "objectiveScale">): string {
  return objectiveScale?.unit ?? "nats per token";
}

/** Of the column of scores: `NLL`, `KL`, `rouge-l`. */
export function scoreTitle({ objective }: Judged): string {
  return objective === "nll" || objective === "kl" ? objective.toUpperCase() : objective;
}

/** What the full adapter has over the base model, by this objective, as the end of a sentence. */
export function adaptersPart({ objective }: Judged): string {
  return objective === "kl" ? "what the adapter changes" : "what the adapter brings";
}

/** What must be known before anything else is read, said in the headline itself; empty where there is nothing. */
export function caution({ objective, inSample = false }: Judged): string {
  const likeness = objective === "kl" ? "Likeness to the full adapter, not quality. " : "";
  return inSample ? `${likeness}In-sample: the adapter was trained on these samples. ` : likeness;
}

/** What the objective measures, where it is not the loss on the samples; null otherwise. */
export function objectiveSentence(result: Judged): string | null {
  const { objective, objectiveScale } = result;
  if (objective === "nll") return null;
  if (objective === "kl") {
    return (
      "Objective kl: the Kullback-Leibler divergence from the full adapter's next-token distribution to the candidate's. " +
      "It measures likeness to the full adapter, not quality: a candidate that keeps all of it is as good and as bad as the " +
      "full adapter is, and nothing can be better."
    );
  }
  const direction = objectiveScale?.higherIsBetter === false ? "lower" : "higher";
  return `Objective ${objective}: of the answers that each candidate writes, ${direction} is better, in ${unitOf(result)}.`;
}
