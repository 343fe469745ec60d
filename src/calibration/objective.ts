import type { ScoreObjective } from "../engine/session-types.js";
import { UsageError } from "../errors.js";
import { CHOICE } from "../evaluation/choosing.js";
import type { Metric } from "../metrics/metric.js";
import { metricNamed, METRICS } from "../metrics/metrics.js";
import { KL, NLL, type Objective } from "../search/objective.js";

/** `nll`, `kl`, `choice`, the name of a built-in metric of answers, or a metric of one's own (`loadMetric`). */
export type ObjectiveChoice = string | Metric;

/** How an objective gets its scores. */
export type Judged =
  | { readonly by: "tokens"; readonly objective: Objective; readonly score: ScoreObjective }
  | { readonly by: "choices"; readonly objective: Objective }
  | { readonly by: "answers"; readonly objective: Objective; readonly metric: Metric };

/** @throws UsageError OBJECTIVE_RANGE */
export function judgedBy(choice: ObjectiveChoice = "nll"): Judged {
  if (choice === "nll") return { by: "tokens", objective: NLL, score: "nll" };
  if (choice === "kl") return { by: "tokens", objective: KL, score: "kl" };
  if (choice === CHOICE.name) return { by: "choices", objective: CHOICE };
  if (typeof choice !== "string") return { by: "answers", objective: choice, metric: choice };
  const metric = metricNamed(choice);
  if (metric !== null) return { by: "answers", objective: metric, metric };
  const names = ["nll", "kl", CHOICE.name, ...METRICS.map(({ name }) => name)].join(", ");
  throw new UsageError(
    "OBJECTIVE_RANGE",
    `Expected one of ${names}, or a metric, for \`objective\` but received ${choice === "" ? "nothing" : choice}.`,
    { details: { option: "objective", received: choice } },
  );
}
