import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import type { Analysis } from "../../analysis/analysis.js";
import { BackendError, InputError, UsageError } from "../../errors.js";
import { renderAnalysis } from "../../report/analysis.js";
import { renderComparison } from "../../report/comparison-view.js";
import { compareResults } from "../../report/comparison.js";
import { curveCsv, layersCsv } from "../../report/csv.js";
import { plural } from "../../report/numbers.js";
import { renderAnalysisPage } from "../../report/page/analysis-page.js";
import { analysisCharts } from "../../report/page/analysis-sections.js";
import type { Chart } from "../../report/page/chart.js";
import { chartFile } from "../../report/page/chart-file.js";
import { comparisonChart, renderComparisonPage } from "../../report/page/comparison-page.js";
import { chartsOf } from "../../report/page/result-page.js";
import { renderCalibration } from "../../report/terminal.js";
import type { RenderOptions } from "../../report/text.js";
import type { CalibrationResult } from "../../result.js";
import { isOfAdapter } from "../../results/is-of-adapter.js";
import { readAnyResult } from "../../results/read-any.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { requirePageTarget, writePage, writeText } from "../page-output.js";

interface ReportFlags {
  readonly output?: string;
  readonly svg?: string;
  readonly csv?: string;
  readonly force?: true;
}

const EXAMPLES = examples(
  ["report result.json -o report.html", "A result as one page to look at and to send"],
  ["report q4.json q8.json -o both.html", "Is the cut found on Q4 still right on Q8"],
  ["report result.json layers.json -o report.html", "With what analyze --json found of the same adapter's layers"],
  ["report result.json --svg charts --csv curve.csv", "Charts and numbers for a paper"],
);

export function configure(command: Command): void {
  command
    .description(
      "Show results of `calibrate --json` and `analyze --json` again: on the terminal, as one HTML page, as charts, as a " +
        "table. Several calibrations are compared; an analysis goes with the calibration of its adapter.",
    )
    .usage("<result...> [-o <page.html>] [options]")
    .argument("<result...>", "JSON files that calibrate and analyze have written")
    .option("-o, --output <file>", "HTML page to write")
    .option("--svg <folder>", "write every chart as an SVG file")
    .option("--csv <file>", "write every candidate as a row, of an analysis alone every layer")
    .option("--force", "write over existing files")
    .addHelpText("after", EXAMPLES);
}

export async function run(paths: readonly string[], flags: ReportFlags, context: CommandContext): Promise<number> {
  const { output, svg, csv, force = false } = flags;
  requireNames(flags);
  const targets = { inputs: paths, force };
  await requirePageTarget({ target: output, ...targets });
  await requirePageTarget({ target: csv, ...targets });
  const shown = await readAll(paths);
  const { results, analysis } = shown;
  const [first] = results;
  const isOne = results.length === 1;
  context.stdout(textOf(shown, context.style));
  if (first !== undefined && isOne) await writePage(first, { target: output, ...targets }, context, analysis);
  else if (output !== undefined) {
    await writeText(output, analysis === null ? renderComparisonPage(results) : renderAnalysisPage(analysis), targets);
  }
  if (csv !== undefined) {
    const rows = first === undefined && analysis !== null ? layersCsv(analysis) : curveCsv(results);
    await writeText(csv, rows, targets);
  }
  if (svg !== undefined) await writeCharts(svg, chartsOfAll(shown), targets);
  return 0;
}

/** Calibrations in the order given, and at most one analysis. */
interface Shown {
  readonly results: readonly CalibrationResult[];
  readonly analysis: Analysis | null;
}

async function readAll(paths: readonly string[]): Promise<Shown> {
  const results: CalibrationResult[] = [];
  const analyses: Analysis[] = [];
  for (const path of paths) {
    const result = await readAnyResult(path);
    if (result.schema === "lora-boundary/analysis@1") analyses.push(result);
    else results.push(result);
  }
  const [analysis = null] = analyses;
  if (analyses.length > 1 || (analysis !== null && results.length > 1)) {
    throw new UsageError(
      "REPORT_FILES",
      `Expected calibrations to compare, or one analysis alone or with one calibration, but received ${plural(results.length, "calibration")} and ${plural(analyses.length, "analysis", "analyses")}; show them one by one.`,
      { details: { calibrations: results.length, analyses: analyses.length } },
    );
  }
  const [result] = results;
  if (analysis !== null && result !== undefined && !isOfAdapter(analysis, result)) {
    throw new InputError(
      "REPORT_ADAPTERS",
      `Expected an analysis of ${result.adapter.path} but received one of ${analysis.adapter.path}, which is another adapter; show them one by one, or analyze again.`,
      { details: { calibration: result.adapter.path, analysis: analysis.adapter.path } },
    );
  }
  return { results, analysis };
}

function textOf({ results, analysis }: Shown, style: RenderOptions): string {
  const [first] = results;
  const calibration =
    first === undefined
      ? []
      : results.length === 1
        ? renderCalibration(first, style)
        : renderComparison(results, style);
  return [calibration, analysis === null ? [] : renderAnalysis(analysis, style)].flat().join("\n\n");
}

function chartsOfAll({ results, analysis }: Shown): readonly Chart[] {
  const [first] = results;
  const calibration =
    first === undefined ? [] : results.length === 1 ? chartsOf(first) : [comparisonChart(compareResults(results))];
  return [...calibration, ...(analysis === null ? [] : analysisCharts(analysis))];
}

function requireNames({ output, svg, csv }: ReportFlags): void {
  for (const [option, name] of Object.entries({ output, svg, csv })) {
    if (name === undefined || (name !== "" && name !== "-" && !name.endsWith(".json"))) continue;
    throw new UsageError(
      "REPORT_OUTPUT",
      `Expected the name of a new file for \`--${option}\` but received ${name === "" ? "nothing" : name}; results are read, never written.`,
      { details: { option, received: name } },
    );
  }
  if (output !== undefined && output === csv) {
    throw new UsageError(
      "REPORT_SAME",
      `Expected another file than that of \`--output\` for \`--csv\` but received ${csv} for both; give another name.`,
      { details: { option: "csv" } },
    );
  }
}

async function writeCharts(
  folder: string,
  charts: readonly Chart[],
  targets: { readonly inputs: readonly string[]; readonly force: boolean },
): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new BackendError("TARGET_UNWRITABLE", `${folder}: the folder cannot be made (${code}); give another name.`, {
      cause,
      details: { path: folder },
    });
  }
  for (const chart of charts) await writeText(join(folder, `${chart.name}.svg`), chartFile(chart), targets);
}
