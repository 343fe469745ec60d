import { basename } from "node:path";
import type { Analysis } from "../../analysis/analysis.js";
import type { CalibrationResult } from "../../result.js";
import { subsetRow, subsetSentence, subsetTitles } from "../subset-table.js";
import { controlSentence, gateCauses, partialSentence, verdictSentence } from "../sentence.js";
import { analysisSections } from "./analysis-sections.js";
import { figure, scrollingTable, type Chart } from "./chart.js";
import { curveChart } from "./curve-chart.js";
import { documentOf } from "./document.js";
import { familiesChart } from "./families-chart.js";
import { forestChart } from "./forest-chart.js";
import { guardSection } from "./guard-section.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { samplesChart } from "./samples-chart.js";
import { samplesSection, type SampleTexts } from "./samples-section.js";
import { scalesStrip } from "./scales-strip.js";
import {
  boundsNote,
  factsSection,
  headline,
  keyFigures,
  noticesSection,
  paretoSection,
  reproduceSection,
  section,
} from "./sections.js";
import { compareSamples } from "../sample-differences.js";

export interface PageOptions {
  /** By line; samples without one are shown by their line alone. Default: none. */
  readonly texts?: SampleTexts;
  /** Beyond those of the result. */
  readonly notices?: readonly string[];
  /** Of the same adapter: lens, effects and norms. Default: none. */
  readonly analysis?: Analysis | null;
}

/** One calibration as a page in one file: nothing is loaded, and what it quotes cannot act. Pure. */
export function renderPage(
  result: CalibrationResult,
  { texts = new Map(), notices = [], analysis = null }: PageOptions = {},
): string {
  const { model, adapter, data, version } = result;
  const names = `${basename(adapter.path)} on ${basename(model.path)}`;
  const lead = markup`<p class="lead">${verdictSentence(result)}</p>
    ${partial(result)}${keyFigures(result)}`;
  const main = [
    noticesSection(result, [...notices, ...(analysis?.notices ?? [])]),
    causesSection(result),
    curveSection(result),
    scalesSection(result),
    familiesSection(result),
    subsetSection(result),
    guardSection(result),
    analysis === null ? NOTHING : analysisSections(analysis),
    paretoSection(result),
    samplesSection(result, texts),
    factsSection(result),
    reproduceSection(result),
  ];
  return documentOf({
    title: `${headline(result)}: ${names}`,
    eyebrow: `${names}, ${data.path === null ? "samples in memory" : basename(data.path)}`,
    headline: headline(result),
    lead,
    main,
    footer: `Made by lora-boundary ${version} at ${result.createdAt}. This page is one file and loads nothing.`,
  }).toString();
}

/** Every chart of a result, for files of their own. */
export function chartsOf(result: CalibrationResult): readonly Chart[] {
  const comparison = compareSamples(result);
  const chosen = chosenScales(result);
  return [
    curveChart(result),
    forestChart(result),
    familiesChart(result),
    comparison === null ? null : samplesChart(comparison),
    chosen === null ? null : scalesStrip(chosen),
  ].filter((chart) => chart !== null);
}

function partial(result: CalibrationResult): Markup {
  return result.partial === null ? NOTHING : markup`<p class="notice">${partialSentence(result)}</p>`;
}

function causesSection(result: CalibrationResult): Markup {
  const causes = gateCauses(result);
  if (causes.length === 0) return NOTHING;
  return section(
    "Likely causes",
    markup`<ul>
      ${causes.map((cause) => markup`<li>${cause}</li>`)}
    </ul>`,
  );
}

function curveSection(result: CalibrationResult): Markup {
  const curve = curveChart(result);
  const forest = forestChart(result);
  return section(
    "The curve",
    markup`<p class="quiet">${boundsNote(result)}</p>`,
    curve === null ? markup`<p>There is nothing to cut: the adapter has too few layers.</p>` : figure(curve),
    forest === null
      ? NOTHING
      : markup`<h3>Close to the margin</h3>
          ${figure(forest)}`,
  );
}

function scalesSection(result: CalibrationResult): Markup {
  const scales = chosenScales(result);
  if (scales === null) return NOTHING;
  const id = result.selected?.candidate.id ?? "";
  return section(
    "Layer by layer",
    markup`<p class="quiet">The strength of each layer's LoRA under ${id}.</p>`,
    figure(scalesStrip(scales)),
  );
}

/** As scored, boosts included. */
function chosenScales({ candidates, selected }: CalibrationResult): readonly number[] | null {
  return candidates.find(({ id }) => id === selected?.candidate.id)?.layerScales ?? null;
}

function familiesSection(result: CalibrationResult): Markup {
  const chart = familiesChart(result);
  const control = controlSentence(result);
  if (chart === null) return control === null ? NOTHING : section("Control", markup`<p>${control}</p>`);
  return section("Families and controls", control === null ? NOTHING : markup`<p>${control}</p>`, figure(chart));
}

function subsetSection(result: CalibrationResult): Markup {
  const { subset } = result;
  if (subset === null || subset.points.length === 0) return NOTHING;
  const [unit = "", ...others] = subsetTitles(subset);
  const sentence = subsetSentence(subset);
  return section(
    "Subsets, size by size",
    markup`<p class="quiet">${sentence[0]?.toUpperCase() ?? ""}${sentence.slice(1)}</p>`,
    scrollingTable({
      caption: "subset and boundary by what is left, in % of the adapter's gain",
      columns: [{ title: unit, isNumber: true }, ...others.map((title) => ({ title, isNumber: title !== "verdict" }))],
      rows: subset.points.map((point) => ({
        isChosen: point.id === result.selected?.candidate.id,
        cells: subsetRow(point, result),
      })),
    }),
  );
}
