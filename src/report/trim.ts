import { writtenOut } from "../lora/format-layer-scales.js";
import { formatLayers } from "../lora/layer-ranges.js";
import type { Family } from "../lora/candidate.js";
import type { WrittenAdapter } from "../lora/trim.js";
import type { Interval, Verdict } from "../result.js";
import { loadingLines } from "./commands.js";
import { intervalText, RETENTION } from "./measure.js";
import { byteSize, count, percent, plural } from "./numbers.js";
import { styleOf, wrapped, type RenderOptions } from "./text.js";

/** What `trim --from` writes, and what its calibration says of it. */
export interface TrimOrigin {
  /** Path of the result. */
  readonly result: string;
  readonly candidate: string;
  readonly family: Family;
  readonly selected: boolean;
  readonly verdict: Verdict;
  /** On the guard set; null where it was not examined there. */
  readonly guard: Verdict | null;
  readonly retention: Interval | null;
  readonly objective: string;
  readonly margin: number;
  readonly confidence: number;
  readonly samples: number;
  readonly inSample: boolean;
}

/** A trimmed adapter, and what its source had. */
export interface TrimView {
  readonly written: WrittenAdapter;
  /** The PEFT folder that was written too; null without one. */
  readonly peft: { readonly folder: string; readonly bytes: number } | null;
  readonly sourceParameters: number;
  /** Pairs outside the layers (`output.weight`) that were left out. */
  readonly droppedOutside: readonly string[];
  /** Null where it was written by `--keep`. */
  readonly from: TrimOrigin | null;
}

/** Stands in the commands for the base model, which trimming does not need to know. */
const BASE_MODEL = "BASE.gguf";

/** What was kept, dropped and checked, and the commands that load it. Pure; ends without a line break. */
export function renderTrim(view: TrimView, options: RenderOptions): string {
  const style = styleOf(options);
  const { written, sourceParameters } = view;
  const share = written.source.bytes > 0 ? ` (${percent(written.bytes / written.source.bytes)} %)` : "";
  const prose = [
    ...(view.from === null ? [] : [originText(view.from)]),
    `Kept: ${layersText(written.keptLayers)}, ${count(written.parameters - written.padding)} of ${count(sourceParameters)} parameters${written.padding === 0 ? "" : `, and ${count(written.padding)} zeros that pad ranks`}.`,
    droppedText(view),
    strengthsText(written),
    `Written: ${written.path}, ${byteSize(written.bytes)} in place of ${byteSize(written.source.bytes)}${share}.`,
    ...(view.peft === null ? [] : [`Written as PEFT too: ${view.peft.folder}, ${byteSize(view.peft.bytes)}.`]),
    "Checked: read again from disk and compared with the source, header and every tensor byte.",
    `It loads with (give your base model for ${BASE_MODEL}):`,
  ];
  return [
    ...prose.flatMap((text) => wrapped(text, style.width)),
    ...loadingLines(BASE_MODEL, written.path, style),
  ].join("\n");
}

/** `upto:28 of result.json, not the selected one: unproven by nll on 150 samples, margin 2.0 %; keeps 97.6 % (96.9 to 98.4).` */
function originText({ result, candidate, selected, retention, ...judged }: TrimOrigin): string {
  const { verdict, guard, objective, margin, samples, inSample } = judged;
  const kept = retention === null ? "" : `; it keeps ${intervalText(retention, RETENTION)} of what the adapter brings`;
  const trained = inSample ? " that the adapter was trained on" : "";
  const guarded = guard === null ? "" : `; on the guard set: ${guard}`;
  return (
    `Candidate: ${candidate} of ${result}, ${selected ? "the selected one" : "not the selected one"}: ${verdict}, by ` +
    `${objective} on ${plural(samples, "sample")}${trained}, with a margin of ${percent(margin)} %${kept}${guarded}.`
  );
}

/** Always written out: a short name must not hide what a layer runs with. */
function strengthsText({ scales, scalesText, baked }: WrittenAdapter): string {
  const name = scalesText.includes("=") ? "" : ` (${scalesText})`;
  const how =
    baked.length === 0 ? "" : ` In ${plural(baked.length, "pair")} the strength is multiplied into the tensor B.`;
  return `Strengths: ${writtenOut(scales).replaceAll(",", ", ")}${name}.${how}`;
}

function droppedText({ written, droppedOutside }: TrimView): string {
  const parts = [
    ...(written.droppedLayers.length > 0 ? [layersText(written.droppedLayers)] : []),
    ...(droppedOutside.length > 0 ? [`outside the layers ${droppedOutside.join(", ")}`] : []),
  ];
  return parts.length === 0
    ? "Dropped: nothing, the adapter has no other layers."
    : `Dropped: ${parts.join("; ")}: ${plural(written.droppedTensors, "tensor")}.`;
}

function layersText(layers: readonly number[]): string {
  return layers.length === 0 ? "no layer" : `LoRA in ${plural(layers.length, "layer")} (${formatLayers(layers)})`;
}
