import type { CalibrationResult } from "../../result.js";
import { signedNats } from "../numbers.js";
import { compareSamples, type SampleDifference } from "../sample-differences.js";
import { figure } from "./chart.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { samplesChart } from "./samples-chart.js";
import { section } from "./sections.js";

/** What a sample says, cut to a length that a page can show. */
export interface SampleText {
  readonly prompt: string;
  readonly completion: string;
}

/** By line of the samples' file. */
export type SampleTexts = ReadonlyMap<number, SampleText>;

/** Samples with their texts on each side. */
export const SHOWN_SAMPLES = 6;

/** The lines whose texts {@link samplesSection} shows. */
export function shownLines(result: CalibrationResult): readonly number[] {
  const { wins, losses } = extremes(compareSamples(result)?.differences ?? []);
  return [...wins, ...losses].map(({ line }) => line);
}

export function samplesSection(result: CalibrationResult, texts: SampleTexts): Markup {
  const comparison = compareSamples(result);
  if (comparison === null) return NOTHING;
  const { candidate, isChosen, differences } = comparison;
  const { wins, losses } = extremes(differences);
  const whose = isChosen ? `under ${candidate.id}` : `under ${candidate.id}, the best cut, which is not chosen`;
  const list = (title: string, kind: string, items: readonly SampleDifference[]): Markup =>
    markup`<div>
      <h3>${title}</h3>
      ${
        items.length === 0
          ? markup`<p class="quiet small">None.</p>`
          : markup`<ol class="samples">
              ${items.map((item) => sample(item, kind, texts))}
            </ol>`
      }
    </div>`;
  return section(
    "Sample by sample",
    markup`<p class="quiet">
      How much better (above) or worse (below) each sample's completion is predicted ${whose}, than by the full adapter.
      Single samples are noisy: the bounds above are the evidence.
    </p>`,
    figure(samplesChart(comparison)),
    markup`<div class="columns">${list("Gains most", "win", wins)}${list("Loses most", "loss", losses)}</div>`,
  );
}

function sample({ line, gain }: SampleDifference, kind: string, texts: SampleTexts): Markup {
  const text = texts.get(line);
  const words = text === undefined ? NOTHING : textOf(text);
  return markup`<li><p><span class="chip ${kind}">${signedNats(gain)}</span> <span class="quiet">line ${line}</span></p>${words}</li>`;
}

/** White space is shown as it is, so none may stand between the tags. */
function textOf({ prompt, completion }: SampleText): Markup {
  const before = prompt === "" ? NOTHING : markup`<span class="prompt">${prompt}</span>`;
  return markup`<p class="text" dir="auto">${before}<span class="scored">${completion}</span></p>`;
}

function extremes(differences: readonly SampleDifference[]) {
  return {
    wins: differences.filter(({ gain }) => gain > 0).slice(0, SHOWN_SAMPLES),
    losses: differences
      .filter(({ gain }) => gain < 0)
      .reverse()
      .slice(0, SHOWN_SAMPLES),
  };
}
