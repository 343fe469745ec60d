import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import * as vega from "vega";
import { compile } from "vega-lite";

/**
 * The boundary curve of a result file as a picture: retention with its simultaneous bounds, verdicts, and the margin.
 * Options: --result FILE (written by calibrate --json), --out FILE (default docs/curve.svg), --title TEXT.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      result: { type: "string", default: "result.json" },
      out: { type: "string", default: "docs/curve.svg" },
      title: { type: "string", default: "" },
    },
  });
  const result = JSON.parse(await readFile(values.result, "utf8"));
  const points = result.candidates
    .filter(({ family, retention }) => family === "boundary" && retention !== null)
    .map(({ id, retention, verdict }) => ({
      boundary: Number(id.split(":")[1]),
      kept: 100 * retention.mean,
      low: 100 * retention.low,
      high: 100 * retention.high,
      verdict: id === `upto:${result.model.layers}` ? "full adapter" : verdict,
    }));
  const spec = compile({
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: values.title || `${result.model.layers} layers, ${result.data.samples} samples`,
    width: 620,
    height: 320,
    background: "white",
    config: { font: "sans-serif" },
    data: { values: points },
    encoding: {
      x: {
        field: "boundary",
        type: "quantitative",
        title: "boundary: layers that keep their LoRA",
        axis: { tickMinStep: 1 },
      },
    },
    layer: [
      {
        data: { values: [{ margin: 100 * (1 - result.margin) }] },
        mark: { type: "rule", strokeDash: [4, 4], color: "#888" },
        encoding: { x: null, y: { field: "margin", type: "quantitative" } },
      },
      { mark: { type: "line", color: "#bbb" }, encoding: { y: { field: "kept", type: "quantitative" } } },
      {
        mark: { type: "rule", color: "#666" },
        encoding: {
          y: { field: "low", type: "quantitative", title: "% of the adapter's gain kept" },
          y2: { field: "high" },
        },
      },
      {
        mark: { type: "point", filled: true, size: 60, opacity: 1 },
        encoding: {
          y: { field: "kept", type: "quantitative" },
          color: {
            field: "verdict",
            type: "nominal",
            scale: {
              domain: ["full adapter", "better", "not-worse", "unproven", "worse"],
              range: ["#222222", "#0072b2", "#009e73", "#e69f00", "#d55e00"],
            },
          },
        },
      },
    ],
  }).spec;
  const svg = await new vega.View(vega.parse(spec), { renderer: "none" }).toSVG();
  await writeFile(values.out, svg);
  if (!json) console.log(`written ${values.out}: ${points.length} boundaries`);
  return { out: values.out, points: points.length };
}
