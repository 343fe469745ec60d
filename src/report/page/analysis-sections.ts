import type { Analysis } from "../../analysis/analysis.js";
import { effectsSentences, lensSentence, normsSentence } from "../analysis.js";
import { figure, figures, type Chart } from "./chart.js";
import { effectsCharts } from "./effects-chart.js";
import { lensCharts } from "./lens-chart.js";
import { markup, NOTHING, type Content, type Markup } from "./markup.js";
import { normsChart } from "./norms-chart.js";
import { section } from "./sections.js";

/** Lens, effects and norms, each where it is known. */
export function analysisSections(analysis: Analysis): Content {
  return [lensSection(analysis), effectsSection(analysis), normsSection(analysis)];
}

export function analysisCharts({ lens, effects, norms }: Analysis): readonly Chart[] {
  return [
    ...(lens === null ? [] : lensCharts(lens)),
    ...(effects === null ? [] : effectsCharts(effects)),
    ...(norms.length === 0 ? [] : [normsChart(norms)]),
  ];
}

function lensSection({ lens }: Analysis): Markup {
  if (lens === null) return NOTHING;
  return section("The lens", markup`<p class="quiet">${lensSentence(lens)}</p>`, figures(lensCharts(lens)));
}

function effectsSection({ effects }: Analysis): Markup {
  if (effects === null) return NOTHING;
  return section(
    "What each layer does",
    effectsSentences(effects).map((sentence) => markup`<p class="quiet">${sentence}</p>`),
    figures(effectsCharts(effects)),
  );
}

function normsSection({ norms, effects }: Analysis): Markup {
  if (norms.length === 0) return NOTHING;
  return section(
    "What each layer writes",
    markup`<p class="quiet">${normsSentence(effects)}</p>`,
    figure(normsChart(norms)),
  );
}
