import { area, curveStepAfter } from "d3-shape";
import { signedNats } from "../numbers.js";
import type { SampleComparison, SampleDifference } from "../sample-differences.js";
import type { Chart } from "./chart.js";
import { frameOf, hitStrip, px, svg, type Size } from "./frame.js";
import { markup, NOTHING, type Markup } from "./markup.js";

/** Samples beyond which single ones cannot be pointed at: pages stay small. */
const MOST_STRIPS = 250;

/** Every sample's difference, largest gain first: wins stand above the line, losses hang below. */
export function samplesChart({ candidate, differences }: SampleComparison): Chart {
  return {
    name: "samples",
    draw: (size) => draw(candidate.id, differences, size),
    legend: NOTHING,
    table: {
      caption: "every sample under both",
      columns: [
        { title: "line", isNumber: true },
        { title: "full", isNumber: true },
        { title: candidate.id, isNumber: true },
        { title: "gain", isNumber: true },
      ],
      rows: differences.map((it) => ({
        cells: [it.line, it.full.toFixed(4), it.candidate.toFixed(4), signedNats(it.gain)],
      })),
    },
  };
}

function draw(name: string, differences: readonly SampleDifference[], size: Size): Markup {
  const gains = differences.map(({ gain }) => gain);
  const [low, high] = [Math.min(0, ...gains), Math.max(0, ...gains)];
  const air = (high - low || 1) * 0.05;
  const wins = gains.filter((gain) => gain > 0).length;
  const losses = gains.filter((gain) => gain < 0).length;
  const flat = { ...size, height: size.isNarrow ? 230 : 260 };
  const { x, y, ground } = frameOf(
    flat,
    { domain: [0, gains.length], label: "samples, largest gain first", format: String },
    { domain: [low - air, high + air], label: "gain over the full adapter, nats per token", format: String },
  );
  // A step stays until the next sample, so the last one needs an end.
  const shape = (from: number, to: number, kind: string): Markup => {
    const steps = Array.from({ length: to - from + 1 }, (_, step) => from + step);
    const outline = area<number>()
      .x((sample) => x(sample))
      .y0(y(0))
      .y1((sample) => y(gains[Math.min(sample, to - 1)] ?? 0))
      .curve(curveStepAfter)
      .digits(1);
    return to > from ? markup`<path class="${kind}" d="${outline(steps) ?? ""}" />` : NOTHING;
  };
  const width = x(1) - x(0);
  const strips = differences.length > MOST_STRIPS ? [] : differences;
  return svg(
    flat,
    `Of ${gains.length} samples ${wins} are predicted better by ${name} than by the full adapter, ${losses} worse.`,
    ground,
    shape(0, wins, "win"),
    shape(gains.length - losses, gains.length, "loss"),
    markup`<line class="base" x1="${px(x(0))}" x2="${px(x(gains.length))}" y1="${px(y(0))}" y2="${px(y(0))}" />`,
    strips.map((it, index) => hitStrip(x(index + 0.5), width, flat, `line ${it.line}\n${signedNats(it.gain)} nats`)),
  );
}
