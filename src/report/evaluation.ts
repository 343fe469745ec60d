import type { Comparison, EvaluatedCandidate, EvaluationResult, MetricScore } from "../evaluation/result.js";
import { percent, plural } from "./numbers.js";
import { renderSpeed } from "./speed.js";
import {
  clipped,
  displayWidth,
  padded,
  printable,
  styleOf,
  tinted,
  wrapped,
  type RenderOptions,
  type Style,
} from "./text.js";

/**
 * An evaluation for a terminal: a table per metric, what its bounds mean, and which samples were used for choosing. Pure;
 * ends without a line break.
 */
export function renderEvaluation(result: EvaluationResult, options: RenderOptions): string {
  const style = styleOf(options);
  const prose = (text: string): string[] => wrapped(text, style.width);
  const sections = [
    prose(partialSentence(result)),
    prose(chosenOnSentence(result)),
    ...result.metrics.map((_, index) => metricTable(result, index, style)),
    prose(boundsSentence(result)),
    result.data.notices.flatMap((notice) => prose(`Notice: ${notice}`)),
    result.speed === undefined ? [] : [renderSpeed(result.speed, options)],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function partialSentence({ partial, data }: EvaluationResult): string {
  if (partial === null) return "";
  const why = partial.cause === "cancelled" ? "it was stopped" : "it failed";
  return `Known so far, from ${data.samples} of ${plural(partial.ofSamples, "sample")}, a random part of them: ${why} before the others were answered.`;
}

/** Empty where there is nothing to warn of. */
export function chosenOnSentence({
  chosenOn,
  data,
}: Pick<EvaluationResult, "chosenOn"> & { readonly data: { readonly samples: number } }): string {
  if (chosenOn === null || chosenOn.sharedLines.length === 0) return "";
  return (
    `Warning: ${chosenOn.sharedLines.length} of ${plural(data.samples, "sample")} were used for choosing in ` +
    `${chosenOn.path}, so the chosen candidate looks better here than it is. Evaluate on samples that had no part in it.`
  );
}

function boundsSentence({ criticalValue, confidence, data, metrics, candidates }: EvaluationResult): string {
  const corpus = candidates.some(({ scores }) => scores.some((score) => score.corpus !== null))
    ? " Pairs are sentence scores; `set` is the figure of the whole set, which is no mean of sentences, and the difference of it."
    : "";
  const directions = metrics.map(({ name, higherIsBetter }) => `${name} ${higherIsBetter ? "higher" : "lower"}`);
  return (
    `Better is: ${directions.join(", ")}. Gains are paired differences, above 0 for better, * where the bounds exclude 0; ` +
    `all bounds hold together at ${percent(confidence)} % confidence (${criticalValue.toFixed(2)} standard errors, ` +
    `${plural(data.samples, "sample")}${data.groups < data.samples ? ` in ${plural(data.groups, "group")}` : ""}).${corpus}`
  );
}

interface Column {
  readonly title: string;
  readonly cell: (candidate: EvaluatedCandidate, score: MetricScore) => string;
}

const GAP = "  ";

function metricTable(result: EvaluationResult, index: number, style: Style): string[] {
  const metric = result.metrics[index];
  const rows = result.candidates.flatMap((candidate) => {
    const score = candidate.scores[index];
    return score === undefined ? [] : [{ candidate, score }];
  });
  const hasCorpus = rows.some(({ score }) => score.corpus !== null);
  const all = columnsOf(style);
  const { name, layers, mean, set, setGain, gain, gainOnly, record, base } = all;
  const withSet = hasCorpus ? [set, setGain] : [];
  const choices: readonly (readonly Column[])[] = [
    [name, layers, mean, ...withSet, gain, record, base],
    [name, layers, mean, ...withSet, gain, record],
    [name, mean, ...(hasCorpus ? [set] : []), gain, record],
    [name, mean, gain],
    [name, mean, gainOnly],
    [name, mean],
  ];
  const drawn = choices.map((columns) => drawnTable(columns, rows));
  const table = drawn.find((lines) => lines.every((line) => displayWidth(line) <= style.width)) ?? drawn.at(-1) ?? [];
  const title = `${printable(metric?.name ?? "")} (${printable(metric?.unit ?? "")})`;
  return [
    tinted(clipped(title, style.width, style), "bold", style),
    ...table.map((line) => clipped(line, style.width, style)),
  ];
}

type Row = { readonly candidate: EvaluatedCandidate; readonly score: MetricScore };

function drawnTable(columns: readonly Column[], rows: readonly Row[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map(({ candidate, score }) => columns.map(({ cell }) => cell(candidate, score))),
  ];
  const widths = columns.map((_, place) => Math.max(...cells.map((row) => displayWidth(row[place] ?? ""))));
  return cells.map((row) =>
    row
      .map((cell, place) => padded(cell, widths[place] ?? 0, place === 0 ? "left" : "right"))
      .join(GAP)
      .trimEnd(),
  );
}

function columnsOf({ unicode }: Style) {
  const plusMinus = unicode ? "\u00b1" : "+-";
  const bounded = (gain: Comparison["gain"] | null | undefined): string =>
    gain == null
      ? "-"
      : `${signed(gain.mean)} ${plusMinus}${shown((gain.high - gain.low) / 2)}${gain.low > 0 || gain.high < 0 ? "*" : " "}`;
  const column = (title: string, cell: Column["cell"]): Column => ({ title, cell });
  return {
    name: column("candidate", ({ id }) => printable(id)),
    layers: column("layers", ({ adaptedLayers }) => String(adaptedLayers)),
    mean: column("mean", (_, { mean }) => shown(mean)),
    set: column("set", (_, { corpus }) => (corpus === null ? "-" : shown(corpus))),
    setGain: column("set vs full", (_, { corpusVsFull }) => bounded(corpusVsFull)),
    gain: column("gain vs full", (_, { vsFull }) => bounded(vsFull?.gain)),
    gainOnly: column("vs full", (_, { vsFull }) => (vsFull === null ? "-" : signed(vsFull.gain.mean))),
    record: column("won/lost/tied", (_, { vsFull }) =>
      vsFull === null ? "-" : `${vsFull.wins}/${vsFull.losses}/${vsFull.ties}`,
    ),
    base: column("gain vs base", (_, { vsBase }) => bounded(vsBase?.gain)),
  };
}

/** Four significant places for shares, two decimals for points: what the samples can tell apart. */
function shown(value: number): string {
  return value.toFixed(Math.abs(value) >= 10 ? 2 : 4);
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${shown(Math.abs(value))}`;
}
