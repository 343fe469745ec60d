import { basename } from "node:path";
import type { Analysis } from "../../analysis/analysis.js";
import { shellWord } from "../commands.js";
import { count, plural } from "../numbers.js";
import { analysisSections } from "./analysis-sections.js";
import { documentOf } from "./document.js";
import { markup, NOTHING, type Markup } from "./markup.js";
import { facts, section } from "./sections.js";

/** One analysis as a page in one file. Pure. */
export function renderAnalysisPage(analysis: Analysis): string {
  const { adapter, model, version, createdAt, notices } = analysis;
  const names = `${basename(adapter.path)}${model === null ? "" : ` on ${basename(model.path)}`}`;
  return documentOf({
    title: `Layer by layer: ${names}`,
    eyebrow: names,
    headline: headline(analysis),
    lead: markup`<p class="lead">${lead(analysis)}</p>`,
    main: [
      notices.length === 0
        ? NOTHING
        : section(
            "Notices",
            notices.map((notice) => markup`<p class="notice">${notice}</p>`),
          ),
      analysisSections(analysis),
      factsSection(analysis),
    ],
    footer: `Made by lora-boundary ${version} at ${createdAt}. This page is one file and loads nothing.`,
  }).toString();
}

function headline({ effects, adapter }: Analysis): string {
  if (effects === null) return `${plural(adapter.layers.length, "layer")}, by their norms`;
  const earning = effects.layers.filter(({ leftOut }) => leftOut.low > 0).length;
  return `${count(earning)} of ${plural(effects.layers.length, "layer")} proven to earn something`;
}

function lead({ effects }: Analysis): string {
  return effects === null
    ? "A guess, made without samples: how much each layer may change, not whether that helps."
    : "One layer at a time, the others as they are. What costs little one by one may cost much together: calibrate tells.";
}

function factsSection({ adapter, model, data, effects, command, version }: Analysis): Markup {
  const { path, rank, alpha, layers } = adapter;
  const line = command.map((part) => shellWord(part, "posix")).join(" ");
  return section(
    "How to reproduce",
    command.length > 0 ? markup`<pre>${line}</pre>` : NOTHING,
    facts([
      ["Adapter", `${path}: rank ${rank}, alpha ${alpha}, ${plural(layers.length, "layer")}`],
      ...(model === null
        ? []
        : [["Base model", `${model.path}: ${plural(model.layers, "layer")}, ${model.quantization}`] as const]),
      ...(data === null
        ? []
        : [
            [
              "Samples",
              `${data.path ?? "given in memory"}: ${count(effects?.samples ?? 0)}, seed ${data.seed}, sha256 ${data.sha256}`,
            ] as const,
          ]),
      ["Version", version],
    ]),
  );
}
