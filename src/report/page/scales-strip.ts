import { formatLayers } from "../../lora/layer-ranges.js";
import type { Chart } from "./chart.js";
import { hitBox, px, svg, type Size } from "./frame.js";
import { markup, NOTHING, type Markup } from "./markup.js";

const TOP = 4;
const CELL = 34;

/** The strength of every layer's LoRA as a strip: the darker, the stronger; empty where the base model runs alone. */
export function scalesStrip(layerScales: readonly number[]): Chart {
  return {
    name: "layer-scales",
    draw: (size) => draw(layerScales, size),
    legend: NOTHING,
    table: {
      caption: "the strength of every layer",
      columns: [
        { title: "layer", isNumber: true },
        { title: "strength", isNumber: true },
      ],
      rows: layerScales.map((scale, layer) => ({ cells: [layer, scaleText(scale)] })),
    },
  };
}

function draw(scales: readonly number[], { width }: Size): Markup {
  const step = width / scales.length;
  const strongest = Math.max(1, ...scales.map(Math.abs));
  const every = Math.ceil(34 / step / 5) * 5;
  const kept = scales.flatMap((scale, layer) => (scale === 0 ? [] : [layer]));
  const cells = scales.map((scale, layer) => {
    const kind = scale === 0 ? "cell-off" : scale < 0 ? "cell cell-negative" : "cell";
    const opacity = scale === 0 ? 1 : Math.round((0.15 + (0.75 * Math.abs(scale)) / strongest) * 100) / 100;
    const left = layer * step;
    return markup`<rect class="${kind}" fill-opacity="${opacity}" x="${px(left)}" y="${TOP}" width="${px(step)}" height="${CELL}" />
${hitBox(left, TOP, step, CELL, `layer ${layer}\nstrength ${scaleText(scale)}`)}`;
  });
  const numbers = scales.flatMap((_, layer) =>
    layer % every === 0
      ? markup`<text class="middle" x="${px((layer + 0.5) * step)}" y="${TOP + CELL + 16}">${layer}</text>`
      : [],
  );
  return svg(
    { width, height: TOP + CELL + 22 },
    kept.length === 0 ? "No layer keeps its LoRA." : `LoRA in the layers ${formatLayers(kept)}.`,
    cells,
    numbers,
  );
}

function scaleText(scale: number): string {
  return String(Math.round(scale * 1000) / 1000);
}
