import type { CalibrationResult, Interval } from "../result.js";
import { count, percent, plural } from "./numbers.js";
import { adaptersPart, caution, unitOf } from "./objective.js";

/**
 * The answer of a calibration in plain words, one to three sentences: what is proven, on how much data, and how large the
 * gain honestly is. Plain ASCII, no line breaks.
 */
export function verdictSentence(result: CalibrationResult): string {
  return caution(result) + answerSentence(result);
}

function answerSentence(result: CalibrationResult): string {
  const { gate, selected, noSelection, data } = result;
  if (!gate.passed && !gate.forced) return gateSentence(result);
  const forced = gate.passed ? "" : "Forced past a failed gate: the adapter is not proven to help on these samples. ";
  if (selected === null) {
    const why = noSelection?.sentence ?? "No cut is proven.";
    return `${forced}${why} The full adapter stays; nothing is written.`;
  }
  const chosen = result.candidates.find(({ id }) => id === selected.candidate.id);
  const kept = chosen?.adaptedLayers ?? 0;
  const all = result.adapter.layers.length;
  const layers = `${layersKept(selected.candidate)}: ${kept} of ${plural(all, "adapted layer")} ${kept === 1 ? "is" : "are"} enough`;
  const on = `on ${plural(data.samples, "sample")}`;
  const proof =
    selected.verdict === "better"
      ? `proven better than the full adapter ${on}`
      : `proven to keep at least ${percent(1 - result.margin)} % of ${adaptersPart(result)} ${on}`;
  return `${forced}${layers}, ${proof}. ${gainSentence(selected.crossFitGain, unitOf(result))}`;
}

/** `Keep LoRA in layers 0 to 16 (upto:17)`; any other shape goes by its name. */
function layersKept({ id, layerScales }: { readonly id: string; readonly layerScales: readonly number[] }): string {
  const boundary = layerScales.filter((scale) => scale === 1).length;
  const isCut = layerScales.every((scale, layer) => scale === (layer < boundary ? 1 : 0));
  if (!isCut || boundary === 0) return id;
  return boundary === 1 ? `Keep LoRA in layer 0 (${id})` : `Keep LoRA in layers 0 to ${boundary - 1} (${id})`;
}

/** The cross-fitted size, in words that do not claim what its interval does not show. */
function gainSentence({ mean, low, high }: Interval, unit: string): string {
  const from = `between ${low.toFixed(4)} and ${high.toFixed(4)}`;
  if (low > 0) return `On samples that had no part in the choice it gains ${mean.toFixed(4)} ${unit} (${from}).`;
  if (high < 0)
    return `On samples that had no part in the choice it costs ${(-mean).toFixed(4)} ${unit} (gain ${from}).`;
  return `On samples that had no part in the choice its gain is ${mean.toFixed(4)} ${unit}, which may be none (${from}).`;
}

function gateSentence(result: CalibrationResult): string {
  const { gate, data } = result;
  const { mean, low, high } = gate.gain;
  const measured = `gain ${mean.toFixed(4)} ${unitOf(result)}, between ${low.toFixed(4)} and ${high.toFixed(4)}`;
  return gate.failure === "no-gain"
    ? `The full adapter is proven no better than the base model on these samples (${measured}), so there is nothing to keep.`
    : `${plural(data.samples, "sample")} cannot tell whether the full adapter beats the base model at all (${measured}).`;
}

/** What usually lies behind a failed gate, likeliest first. */
export function gateCauses({ gate }: Pick<CalibrationResult, "gate">): readonly string[] {
  if (gate.passed) return [];
  const causes = [
    "the base model already has this adapter merged into it",
    "the adapter was trained with another chat template or prompt format",
    "the adapter was trained on another base model",
  ];
  return gate.failure === "no-gain"
    ? [...causes, "the samples are not of the task that the adapter was trained on"]
    : ["there are too few samples: add some", ...causes];
}

/** What the global-scale control says about the choice; null where no control was run. */
export function controlSentence(
  result: Pick<CalibrationResult, "controls" | "selected" | "objectiveScale">,
): string | null {
  const { controls, selected } = result;
  const { bestGlobalScale: best, selectedVsBest, explainsGain } = controls;
  if (best === null) return null;
  const { mean, low, high } = best.gainVsFull;
  const level = `${best.id} gains ${mean.toFixed(4)} ${unitOf(result)} (between ${low.toFixed(4)} and ${high.toFixed(4)})`;
  const opening = `Control: of the global scales, ${level}.`;
  if (explainsGain) return `${opening} That is at least as much as the cut, so the gain is not the cut's.`;
  if (selected?.verdict !== "better" || selectedVsBest === null) return opening;
  return selectedVsBest.low > 0
    ? `${opening} The cut beats it.`
    : `${opening} The cut is not proven better than it, so part or all of the gain may not be the cut's.`;
}

/** Of a run that did not come to its end, what the result stands on; else empty. */
export function partialSentence({ partial, data }: CalibrationResult): string {
  if (partial === null) return "";
  const why = {
    budget: "the time given was over",
    cancelled: "the run was cancelled",
    failed: "the run failed",
  }[partial.cause];
  if (data.samples === partial.ofSamples) {
    return `Known so far: ${why} before the ${STAGE_NAMES[partial.stage]} was complete; what was is judged on all samples.`;
  }
  return (
    `Known so far, from ${count(data.samples)} of ${plural(partial.ofSamples, "sample")}: ${why}. They are a random part of ` +
    "all, so what is said holds within its bounds."
  );
}

const STAGE_NAMES = {
  boundary: "search",
  refine: "closer look",
  subset: "subset search",
  controls: "control",
  settle: "completion of a close choice",
  guard: "guard",
} as const;
