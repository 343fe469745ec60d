import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { BackendError, UsageError } from "../../errors.js";
import { renderComparison } from "../../report/comparison-view.js";
import { compareResults } from "../../report/comparison.js";
import { curveCsv } from "../../report/csv.js";
import type { Chart } from "../../report/page/chart.js";
import { chartFile } from "../../report/page/chart-file.js";
import { comparisonChart, renderComparisonPage } from "../../report/page/comparison-page.js";
import { chartsOf } from "../../report/page/result-page.js";
import { renderCalibration } from "../../report/terminal.js";
import type { CalibrationResult } from "../../result.js";
import { readResult } from "../../results/read-result.js";
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
  ["report result.json --svg charts --csv curve.csv", "Charts and numbers for a paper"],
);

export function configure(command: Command): void {
  command
    .description(
      "Show results of `calibrate --json` again: on the terminal, as one HTML page, as charts, as a table. Several " +
        "results are compared.",
    )
    .usage("<result...> [-o <page.html>] [options]")
    .argument("<result...>", "JSON files that calibrate has written")
    .option("-o, --output <file>", "HTML page to write")
    .option("--svg <folder>", "write every chart as an SVG file")
    .option("--csv <file>", "write every candidate as a row")
    .option("--force", "write over existing files")
    .addHelpText("after", EXAMPLES);
}

export async function run(paths: readonly string[], flags: ReportFlags, context: CommandContext): Promise<number> {
  const { output, svg, csv, force = false } = flags;
  requireNames(flags);
  const targets = { inputs: paths, force };
  await requirePageTarget({ target: output, ...targets });
  await requirePageTarget({ target: csv, ...targets });
  const results: CalibrationResult[] = [];
  for (const path of paths) results.push(await readResult(path));
  const [first] = results;
  if (first === undefined) return 0;

  const isOne = results.length === 1;
  context.stdout(isOne ? renderCalibration(first, context.style) : renderComparison(results, context.style));
  if (isOne) await writePage(first, { target: output, ...targets }, context);
  else if (output !== undefined) await writeText(output, renderComparisonPage(results), targets);
  if (csv !== undefined) await writeText(csv, curveCsv(results), targets);
  if (svg !== undefined) {
    const charts = isOne ? chartsOf(first) : [comparisonChart(compareResults(results))];
    await writeCharts(svg, charts, targets);
  }
  return 0;
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
