import type { CalibrationResult } from "../result.js";
import { commandLines } from "./commands.js";
import { curveTable } from "./curve-table.js";
import { guardLines } from "./guard.js";
import { byteSize, count, duration, percent, plural } from "./numbers.js";
import { objectiveSentence, scoreTitle, unitOf } from "./objective.js";
import { retentionChart } from "./retention-chart.js";
import { subsetLines } from "./subset-table.js";
import { samplesLines } from "./samples-view.js";
import { scalesStrip } from "./scales-strip.js";
import { controlSentence, gateCauses, partialSentence, verdictSentence } from "./sentence.js";
import { twoCurvesSentence } from "./two-curves.js";
import { styleOf, tinted, wrapped, type RenderOptions, type Style } from "./text.js";

/**
 * One calibration for a terminal: curve, chart, verdict in plain words, controls, cost, and what was written with the
 * commands that load it. Pure: the caller prints it. Ends without a line break.
 */
export function renderCalibration(result: CalibrationResult, options: RenderOptions): string {
  const style = styleOf(options);
  const prose = (text: string, indent = ""): string[] => wrapped(text, style.width, indent);
  const sections: string[][] = [
    prose(partialSentence(result)),
    prose(objectiveSentence(result) ?? ""),
    curveTable(result, style),
    retentionChart(result, style),
    scalesStrip(result, style),
    subsetLines(result, style, prose),
    prose(boundsSentence(result)),
    prose(twoCurvesSentence(result) ?? ""),
    prose(verdictSentence(result)).map((line) => tinted(line, verdictTint(result), style)),
    gateLines(result, prose),
    prose(controlSentence(result) ?? ""),
    guardLines(result, style, prose),
    prose(result.suggestion ?? ""),
    samplesLines(result, style),
    result.data.notices.flatMap((notice) => prose(`Notice: ${notice}`)),
    prose(costSentence(result)),
    outputLines(result, style, prose),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

type Prose = (text: string, indent?: string) => string[];

function verdictTint({ selected, gate }: CalibrationResult): "green" | "yellow" | "red" {
  if (!gate.passed) return "red";
  return selected === null ? "yellow" : "green";
}

function boundsSentence(result: CalibrationResult): string {
  const { criticalValue, confidence, data, margin } = result;
  const groups = data.groups < data.samples ? ` in ${plural(data.groups, "group")}` : "";
  const test = result.test === "sign-flip" ? "hits and misses, so also by the sign-flip test; " : "";
  return (
    `All bounds hold together at ${percent(confidence)} % confidence (${criticalValue.toFixed(2)} standard errors, ${test}` +
    `${plural(data.samples, "sample")}${groups}); margin ${percent(margin)} % of the gain; ${scoreTitle(result)} and gain in ${unitOf(result)}.`
  );
}

function gateLines(result: CalibrationResult, prose: Prose): string[] {
  const causes = gateCauses(result);
  return causes.length === 0 ? [] : [...prose("Likely causes:"), ...causes.flatMap((cause) => hanging(cause, prose))];
}

function hanging(text: string, prose: Prose): string[] {
  return prose(text, "    ").map((line, index) => (index === 0 ? `  - ${line.slice(4)}` : line));
}

function costSentence({ cost, engine, controls }: CalibrationResult): string {
  const { passes, naivePasses, seconds, tokensComputed, tokensShared } = cost;
  const times = passes > 0 ? ` (${(naivePasses / passes).toFixed(2)} times as many)` : "";
  const shared = tokensShared > 0 ? `, ${count(tokensShared)} more shared between samples` : "";
  const { generation } = cost;
  const written =
    generation === undefined
      ? ""
      : ` Answers: ${count(generation.tokensWritten)} tokens written in ${plural(generation.steps, "step")}; ${count(generation.draftsAccepted)} of ${count(generation.draftsProposed)} drafts were right.`;
  const replay = {
    exact: "",
    close: ` On ${engine.backend}, resumed runs agree with plain ones to within ${controls.noiseFloor.toExponential(1)} nats per token.`,
    plain: " The replay failed its self-check, so every candidate was a plain run.",
  }[engine.replay];
  return (
    `Cost: ${passes.toFixed(1)} passes over the samples in ${duration(seconds)}; plain runs would be ` +
    `${naivePasses.toFixed(1)}${times}. ${count(tokensComputed)} tokens computed${shared}.${written}${replay}`
  );
}

function outputLines(result: CalibrationResult, style: Style, prose: Prose): string[] {
  const { output, adapter } = result;
  if (output === null) return result.selected === null ? [] : prose("No file was written.");
  const smaller = adapter.bytes > 0 ? ` of ${byteSize(adapter.bytes)}` : "";
  const proof = output.verified
    ? `loaded by llama.cpp, largest logit difference ${output.maxLogitDifference}`
    : "not verified";
  return [
    ...prose(
      `Written: ${output.path}, ${byteSize(output.bytes)}${smaller}, ${count(output.parameters)} of ${count(adapter.parameters)} parameters; ${proof}.`,
    ),
    ...prose("It loads with:"),
    ...commandLines(result, style),
  ];
}
