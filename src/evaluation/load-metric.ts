import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.js";
import type { Metric } from "../metrics/metric.js";
import { metricNamed, METRICS } from "../metrics/metrics.js";
import { userMetric } from "../metrics/user-metric.js";

/** The loss on the samples' own completions; it needs no answers. */
export const NLL_METRIC = "nll";

/**
 * A built-in metric by its name, or a user's JavaScript module by its path (anything with a slash or a `.js` or `.mjs` at
 * its end). A module runs with all rights of this process: it is the user's own code.
 *
 * @throws UsageError METRIC_NAME, METRIC_MODULE
 */
export async function loadMetric(name: string): Promise<Metric> {
  const known = metricNamed(name);
  if (known !== null) return known;
  if (!/[/\\]|\.m?js$/.test(name)) {
    const names = [NLL_METRIC, ...METRICS.map((metric) => metric.name)].join(", ");
    throw new UsageError(
      "METRIC_NAME",
      `Expected one of ${names}, or a module such as ./mine.mjs, for \`metric\` but received ${name === "" ? "nothing" : name}.`,
      { details: { option: "metric", metric: name } },
    );
  }
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(name)).href)) as { readonly default?: unknown };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError("METRIC_MODULE", `The metric ${name} cannot be loaded: ${reason}`, {
      cause,
      details: { option: "metric", file: name },
    });
  }
  return userMetric(module.default, name);
}
