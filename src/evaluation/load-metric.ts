import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.js";
import { sha256OfFile } from "../gguf/hash-file.js";
import type { Metric } from "../metrics/metric.js";
import { metricNamed, METRICS } from "../metrics/metrics.js";
import { userMetric } from "../metrics/user-metric.js";

/** The loss on the samples' own completions; it needs no answers. */
export const NLL_METRIC = "nll";

/** Whether the right one of a row's choices is the likeliest; it needs no answers either. */
export const CHOICE_METRIC = "choice";

/**
 * An objective of `calibrate` by its name: `nll`, `kl`, `choice`, or a metric as by {@link loadMetric}.
 *
 * @throws as `loadMetric`
 */
export async function loadObjective(name: string): Promise<string | Metric> {
  return [NLL_METRIC, "kl", CHOICE_METRIC].includes(name) ? name : await loadMetric(name, "objective");
}

/**
 * A built-in metric by its name, or a user's JavaScript module by its path (anything with a slash or a `.js` or `.mjs` at
 * its end). A module runs with all rights of this process: it is the user's own code.
 *
 * @throws UsageError METRIC_NAME, METRIC_MODULE
 */
export async function loadMetric(name: string, option: "metric" | "objective" = "metric"): Promise<Metric> {
  const known = metricNamed(name);
  if (known !== null) return known;
  if (!/[/\\]|\.m?js$/.test(name)) {
    const others = option === "objective" ? [NLL_METRIC, "kl", CHOICE_METRIC] : [NLL_METRIC, CHOICE_METRIC];
    const names = [...others, ...METRICS.map((metric) => metric.name)].join(", ");
    throw new UsageError(
      "METRIC_NAME",
      `Expected one of ${names}, or a module such as ./mine.mjs, for \`${option}\` but received ${name === "" ? "nothing" : name}.`,
      { details: { option, metric: name } },
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
  return { ...userMetric(module.default, name), sha256: await sha256OfFile(resolve(name)) };
}
