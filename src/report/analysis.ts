import type { Analysis, LayerEffects, Lens, LensLayer, Reading } from "../analysis/analysis.js";
import type { Interval } from "../result.js";
import { percent, plural, signedNats } from "./numbers.js";
import { textTable, type TextColumn } from "./table.js";
import { printable, styleOf, wrapped, type RenderOptions, type Style } from "./text.js";

const BAR = 12;

/** Layer by layer: norms as a guess, and where there are samples what each layer does. Pure; no final line break. */
export function renderAnalysis(analysis: Analysis, options: RenderOptions): string {
  const style = styleOf(options);
  return [
    textTable(columnsOf(analysis, style), style),
    wrapped(normsSentence(analysis.effects), style.width),
    (analysis.effects === null ? [] : effectsSentences(analysis.effects)).flatMap((text) => wrapped(text, style.width)),
    modulesTable(analysis, style),
    lensLines(analysis, style),
    analysis.notices.flatMap((notice) => wrapped(`Notice: ${notice}`, style.width)),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function columnsOf({ norms, effects }: Analysis, style: Style): readonly TextColumn[] {
  const most = Math.max(0, ...norms.map(({ norm }) => norm));
  const cells = (of: (norm: Analysis["norms"][number]) => string): readonly string[] => norms.map(of);
  const effectOf = (layer: number) => effects?.layers.find((it) => it.layer === layer);
  const bounded = (interval: Interval | undefined) => boundedText(interval, style);
  const columns: TextColumn[] = [
    { title: "layer", align: "right", cells: cells(({ layer }) => String(layer)), least: 5, expendable: 0 },
    { title: "norm", align: "right", cells: cells(({ norm }) => norm.toFixed(3)), least: 6, expendable: 1 },
    { title: "", align: "left", cells: cells(({ norm }) => bar(norm / (most || 1), style)), least: BAR, expendable: 5 },
    {
      title: "attention",
      align: "right",
      cells: cells(({ attention }) => attention.toFixed(3)),
      least: 9,
      expendable: 4,
    },
    {
      title: "MLP",
      align: "right",
      cells: cells(({ feedForward }) => feedForward.toFixed(3)),
      least: 5,
      expendable: 4,
    },
  ];
  if (effects === null) return columns;
  return [
    ...columns,
    {
      title: "left out costs",
      align: "right",
      cells: cells(({ layer }) => bounded(effectOf(layer)?.leftOut)),
      least: 15,
      expendable: 0,
    },
    {
      title: "alone gains",
      align: "right",
      cells: cells(({ layer }) => bounded(effectOf(layer)?.alone)),
      least: 15,
      expendable: 3,
    },
  ];
}

function boundedText(interval: Interval | undefined, { unicode }: Style): string {
  if (interval === undefined) return "-";
  const { mean, low, high } = interval;
  const half = (high - low) / 2;
  return `${signedNats(mean)} ${unicode ? "\u00b1" : "+-"}${Number.isFinite(half) ? half.toFixed(4) : "?"}`;
}

/** Attention and feed-forward pairs of every layer; no lines where they were not asked for. */
function modulesTable({ effects }: Analysis, style: Style): string[] {
  const modules = effects?.modules ?? [];
  if (modules.length === 0) return [];
  const layers = [...new Set(modules.map(({ layer }) => layer))];
  const column = (title: string, part: "attention" | "ffn", kind: "leftOut" | "alone", expendable: number) => ({
    title,
    align: "right" as const,
    cells: layers.map((layer) =>
      boundedText(modules.find((it) => it.layer === layer && it.part === part)?.[kind], style),
    ),
    least: 15,
    expendable,
  });
  return textTable(
    [
      { title: "layer", align: "right", cells: layers.map(String), least: 5, expendable: 0 },
      column("attention out", "attention", "leftOut", 0),
      column("MLP out", "ffn", "leftOut", 1),
      column("attention alone", "attention", "alone", 2),
      column("MLP alone", "ffn", "alone", 3),
    ],
    style,
  );
}

function bar(share: number, { unicode }: Style): string {
  return (unicode ? "\u2588" : "#").repeat(Math.round(share * BAR));
}

export function normsSentence(effects: LayerEffects | null): string {
  const guess =
    "Norms are a guess: how much a layer's LoRA may change (Frobenius norm of alpha / r B A), not whether that helps.";
  return effects === null ? `${guess} What it does, samples tell: analyze BASE ADAPTER SAMPLES.` : guess;
}

export function effectsSentences(effects: LayerEffects): readonly string[] {
  const { layers, gain, samples, groups, confidence, criticalValue, passes } = effects;
  const earning = layers.filter(({ leftOut }) => leftOut.low > 0);
  const harming = layers.filter(({ leftOut }) => leftOut.high < 0);
  const inGroups = groups < samples ? ` in ${plural(groups, "group")}` : "";
  return [
    `In nats per token on ${plural(samples, "sample")}${inGroups}; the adapter brings ${gain.mean.toFixed(4)}. All bounds hold together at ${percent(confidence)} % confidence (${criticalValue.toFixed(2)} standard errors). ${passes.toFixed(1)} passes over the samples.`,
    `Proven to earn something where they are: ${listed(earning)}. Proven to harm: ${listed(harming)}. Layers that cost little one by one may cost much together: calibrate tells.`,
  ];
}

function listed(layers: readonly { readonly layer: number }[]): string {
  return layers.length === 0 ? "none" : printable(layers.map(({ layer }) => layer).join(", "));
}

/** Layer by layer what the output norm and head read off it, base model and full adapter. */
function lensLines({ lens }: Analysis, style: Style): string[] {
  if (lens === null) return [];
  const { base, full } = lens;
  const plusMinus = style.unicode ? "\u00b1" : "+-";
  const column = (title: string, cells: readonly string[], least: number, expendable: number): TextColumn => ({
    ...{ title, align: "right", cells, least, expendable },
  });
  const read = (layers: readonly LensLayer[]) =>
    layers.map(({ nll }) => `${nll.mean.toFixed(3)} ${plusMinus}${nll.se.toFixed(3)}`);
  const rankOf = ({ rank }: LensLayer) => `${rank.mean.toFixed(1)} ${plusMinus}${rankError(rank).toFixed(1)}`;
  const columns = [
    column(
      "layer",
      full.map(({ layer }) => String(layer)),
      5,
      0,
    ),
    column("NLL, base", read(base), 13, 3),
    column("NLL, adapter", read(full), 13, 0),
    column(
      "probability",
      full.map(({ probability: { mean, se } }) => `${percent(mean)} ${plusMinus}${percent(se)} %`),
      12,
      1,
    ),
    column("rank", full.map(rankOf), 9, 2),
  ];
  return [...textTable(columns, style), "", ...wrapped(lensSentence(lens), style.width)];
}

/** Standard error of the geometric mean itself, to first order: what is known is that of its logarithm. */
export function rankError({ mean, se }: Reading): number {
  return mean * se;
}

export function lensSentence({ knee, samples }: Lens): string {
  const hint =
    knee === null
      ? ""
      : ` From layer ${knee} on nine tenths of the adapter's fall are made: a hint where its answers are ready, no proof.`;
  return `The lens: each layer's output through the model's own output norm and head, for the true token of ${plural(samples, "sample")} (with standard errors; rank: geometric mean).${hint}`;
}
