import type { SpeedReport, SpeedRow } from "../evaluation/speed-report.js";
import { byteSize, count, duration, plural } from "./numbers.js";
import { textTable, type TextColumn } from "./table.js";
import { printable, styleOf, wrapped, type RenderOptions } from "./text.js";

/** Differences below this are within what a machine does by itself from round to round. */
const NOTICEABLE = 0.03;

/** What base model, full adapter and cuts cost on one machine. Pure; ends without a line break. */
export function renderSpeed(report: SpeedReport, options: RenderOptions): string {
  const style = styleOf(options);
  const { machine, rows, rounds, decodeTokens } = report;
  const text = (
    title: string,
    cell: (row: SpeedRow) => string,
    expendable: number,
    align: TextColumn["align"] = "right",
  ) => ({ title, align, cells: rows.map(cell), least: 6, expendable });
  const speeds = (rows[0]?.runs ?? []).flatMap(({ sequences }, index) => [
    text(
      `prompt x${sequences}`,
      ({ runs }) => count(runs[index]?.promptTokensPerSecond.median ?? NaN),
      index === 0 ? 0 : 3,
    ),
    text(
      `write x${sequences}`,
      ({ runs }) => (runs[index]?.decodeTokensPerSecond.median ?? NaN).toFixed(1),
      index === 0 ? 0 : 3,
    ),
  ]);
  const table = textTable(
    [
      text("", nameOf, 0, "left"),
      ...speeds,
      text("file", ({ fileBytes }) => byteSize(fileBytes), 1),
      text("load", ({ loadSeconds }) => loadText(loadSeconds), 2),
      text("weights", ({ weightBytes }) => byteSize(weightBytes), 4),
    ],
    style,
  );
  const prose = [
    `Tokens per second of all sequences together, median of ${plural(rounds, "round")} side by side; written are ${decodeTokens} tokens per sequence. ${printable(machine.processor)}, ${machine.backend}, ${plural(machine.threads, "thread")}. Another machine, other prompts or another load give other numbers.`,
    mergingSentence(report),
  ];
  return ["Speed", ...table, ...prose.flatMap((sentence) => wrapped(sentence, style.width))].join("\n");
}

/**
 * When merging is faster: a merged model runs as the base model does, so base against the best adapter row is the whole of
 * what merging can gain.
 */
export function mergingSentence({ rows, modelBytes }: SpeedReport): string {
  const [base, ...others] = rows;
  const gains = (base?.runs ?? []).flatMap(({ promptTokensPerSecond, decodeTokensPerSecond, sequences }, index) => {
    const best = (speed: (row: SpeedRow) => number) => Math.max(...others.map(speed));
    const prompt = promptTokensPerSecond.median / best(({ runs }) => runs[index]?.promptTokensPerSecond.median ?? NaN);
    const decode = decodeTokensPerSecond.median / best(({ runs }) => runs[index]?.decodeTokensPerSecond.median ?? NaN);
    return [
      { what: `prompts (${plural(sequences, "sequence")})`, gain: prompt - 1 },
      { what: `writing (${plural(sequences, "sequence")})`, gain: decode - 1 },
    ];
  });
  const faster = gains.filter(({ gain }) => gain > NOTICEABLE);
  const cost = `it takes a whole model file (${byteSize(modelBytes)}) per adapter`;
  if (faster.length === 0) {
    return `Merging would gain nothing here: the base model is at most ${percentOf(NOTICEABLE)} faster than the fastest adapter above, and ${cost}.`;
  }
  const list = faster.map(({ what, gain }) => `${what} by ${percentOf(gain)}`).join(", ");
  return `Merging the adapter into the model is faster still, ${list}: a merged model runs as the base model does. But ${cost}, and rounds the weights anew.`;
}

function nameOf({ id, padRank }: SpeedRow): string {
  return printable(padRank === null ? id : `${id}, pad ${padRank}`);
}

function percentOf(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function loadText(seconds: number): string {
  return seconds < 0.995 ? `${(1000 * seconds).toFixed(0)} ms` : duration(seconds);
}
