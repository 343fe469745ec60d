import type { CalibrationPlan } from "../calibration/plan.js";
import { byteSize, count, duration, percent, plural } from "./numbers.js";
import { styleOf, wrapped, type RenderOptions } from "./text.js";

/** What is known before anything runs. */
export interface PlanView extends Omit<CalibrationPlan, "memory" | "rpcStateBytes" | "guard"> {
  /** See `CalibrationPlan`; default none. */
  readonly guard?: CalibrationPlan["guard"];
  /** See `CalibrationPlan`; default 0. */
  readonly rpcStateBytes?: number;
  /** Bytes beyond the model, by what they are for: kept states, logits, context. In the order to show. */
  readonly memory: readonly { readonly name: string; readonly bytes: number }[];
  /** The same in nats, where a spread has been measured. */
  readonly smallestNats: number | null;
}

/** The estimate before a run, one fact per line. Pure; ends without a line break. */
export function renderPlan(plan: PlanView, options: RenderOptions): string {
  const { width } = styleOf(options);
  const { memory } = plan;
  const total = memory.reduce((sum, { bytes }) => sum + bytes, 0);
  const parts = memory.map(({ name, bytes }) => `${name} ${byteSize(bytes)}`).join(", ");
  const groups =
    plan.independentSamples < plan.samples ? ` in ${plural(plan.independentSamples, "independent group")}` : "";
  const most = plan.mayEndEarly ? "at most " : "";
  const saved = plan.passes > 0 && plan.subsetPasses === 0 ? ` instead of ${plan.naivePasses.toFixed(1)}` : "";
  const subset = plan.subsetPasses > 0 ? ` ${plan.subsetPasses.toFixed(1)} of them are the subset search.` : "";
  const early = plan.mayEndEarly ? " Losing candidates leave early, so it is usually far less." : "";
  const controls =
    plan.controlPasses > 0
      ? ` ${plan.controlPasses.toFixed(1)} more only if a cut looks better than the full adapter (the control).`
      : "";
  return [
    `Samples: ${count(plan.samples)}${groups}, ${plural(plan.scoredTokens, "scored token")}, ${plural(plan.promptTokens, "prompt token")}.`,
    `Work: ${plural(plan.candidates, "candidate")} in ${most}${plan.passes.toFixed(1)} passes${saved}.${subset}${early}${controls}`,
    `Time: ${plan.seconds === null ? "not known before the first batch" : `${plan.mayEndEarly ? "at most about" : "about"} ${duration(plan.seconds)}`}.`,
    ...guardLine(plan),
    `Memory beyond the model: ${byteSize(total)}${parts === "" ? "" : ` (${parts})`}.`,
    ...networkLine(plan),
    powerLine(plan),
  ]
    .flatMap((line) => wrapped(line, width))
    .join("\n");
}

function guardLine({ guard = null }: PlanView): string[] {
  if (guard === null) return [];
  const { samples, independentSamples, passes, seconds } = guard;
  const groups = independentSamples < samples ? ` in ${plural(independentSamples, "independent group")}` : "";
  const time = seconds === null ? "" : `, about ${duration(seconds)}`;
  return [
    `Guard: ${plural(samples, "sample")}${groups}, scored at the end for what could be selected: at most ${passes.toFixed(1)} passes over them${time}.`,
  ];
}

function networkLine({ rpcStateBytes = 0 }: PlanView): string[] {
  return rpcStateBytes === 0
    ? []
    : [`Network: at most ${byteSize(rpcStateBytes)} of kept states to and from the servers.`];
}

function powerLine({ smallestShare, smallestNats, margin }: PlanView): string {
  if (smallestShare === null) {
    return "Smallest difference that can be shown: none, fewer than 8 independent samples prove nothing.";
  }
  const nats = smallestNats === null ? "" : `, ${smallestNats.toFixed(4)} nats per token`;
  const shown = `Smallest difference that can be shown: about ${percent(smallestShare)} % of the adapter's gain${nats} (80 % power, by the spread of a typical adapter)`;
  return smallestShare > margin
    ? `${shown}. That is more than the margin of ${percent(margin)} %: a cut that loses nothing may stay unproven.`
    : `${shown}; margin ${percent(margin)} %.`;
}
