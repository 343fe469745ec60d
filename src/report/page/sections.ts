import type { CalibrationResult } from "../../result.js";
import { shellWord } from "../commands.js";
import { fullAdapter, intervalText, measureOf, valueText } from "../measure.js";
import { byteSize, count, duration, percent, plural } from "../numbers.js";
import { candidateTable } from "./candidate-table.js";
import { foldedTable, scrollingTable } from "./chart.js";
import { markup, NOTHING, type Content, type Markup } from "./markup.js";

export function section(title: string, ...content: readonly Content[]): Markup {
  return markup`<section>
    <h2>${title}</h2>
    ${content}
  </section> `;
}

export function facts(pairs: readonly (readonly [label: string, value: Content])[]): Markup {
  return markup`<dl class="facts">
    ${pairs.map(
      ([label, value]) =>
        markup`<dt>${label}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

/** The answer in a few words; the sentence under it has the proof. */
export function headline(result: CalibrationResult): string {
  const { gate, selected, noSelection, adapter, candidates } = result;
  if (!gate.passed && !gate.forced) {
    return gate.failure === "no-gain" ? "The adapter does not help here" : "Too few samples to tell";
  }
  const chosen = candidates.find(({ id }) => id === selected?.candidate.id);
  if (chosen === undefined) return noSelection?.kind === "worse" ? "Every cut loses quality" : "No cut is proven";
  return `${chosen.adaptedLayers} of ${plural(adapter.layers.length, "layer")} ${chosen.adaptedLayers === 1 ? "is" : "are"} enough`;
}

/** The numbers that a reader takes away. */
export function keyFigures(result: CalibrationResult): Markup {
  const { selected, adapter, output, data, cost, gate } = result;
  const measure = measureOf(result);
  const chosen = result.candidates.find(({ id }) => id === selected?.candidate.id);
  const value = chosen === undefined ? null : measure.of(chosen);
  const gain = `${gate.gain.mean.toFixed(4)} nats`;
  const figures: readonly (readonly [string, string, string] | null)[] = [
    chosen && value
      ? [
          "Kept of the gain",
          valueText(value.mean, measure),
          `${measure.number(value.low)} to ${measure.number(value.high)}`,
        ]
      : null,
    ["The adapter brings", gain, `per token, ${gate.gain.low.toFixed(4)} to ${gate.gain.high.toFixed(4)}`],
    output === null
      ? ["Adapter", byteSize(adapter.bytes), `${count(adapter.parameters)} parameters, rank ${adapter.rank}`]
      : ["File", byteSize(output.bytes), `of ${byteSize(adapter.bytes)}`],
    [
      "Evidence",
      plural(data.samples, "sample"),
      `${count(data.scoredTokens)} scored tokens, ${duration(cost.seconds)}`,
    ],
  ];
  const cells = figures.flatMap((figure) =>
    figure === null
      ? []
      : markup`<div>
          <dt>${figure[0]}</dt>
          <dd>${figure[1]}<small>${figure[2]}</small></dd>
        </div>`,
  );
  return markup`<dl class="figures">${cells}</dl>`;
}

const MOST_PARETO_ROWS = 10;

export function paretoSection(result: CalibrationResult): Markup {
  const byId = new Map(result.candidates.map((candidate) => [candidate.id, candidate]));
  const listed = result.pareto.flatMap(({ id }) => byId.get(id) ?? []);
  if (listed.length < 2) return NOTHING;
  const top = candidateTable(
    result,
    listed.slice(0, MOST_PARETO_ROWS),
    "the best at each number of layers, most kept first",
  );
  const all = candidateTable(result, listed, `all ${listed.length} of them`);
  return section(
    "What each layer more buys",
    markup`<p class="quiet">No other candidate keeps more with as few layers. Most kept first.</p>`,
    scrollingTable(top),
    listed.length > MOST_PARETO_ROWS ? foldedTable(all) : NOTHING,
  );
}

export function factsSection(result: CalibrationResult): Markup {
  const { model, adapter, data, engine, cost, controls } = result;
  const replay = {
    exact: "resumed runs are bit-identical to plain ones",
    close: `resumed runs agree with plain ones to within ${controls.noiseFloor.toExponential(1)} nats per token`,
    plain: "the self-check failed, so every run was a plain one",
  }[engine.replay];
  const groups = data.groups < data.samples ? ` in ${plural(data.groups, "group")}` : "";
  const template =
    data.template === null
      ? "none: the rows are text as it is"
      : `of the ${data.template.source}, dated ${data.template.date}, sha256 ${data.template.sha256}`;
  return section(
    "Model, data, machine",
    facts([
      [
        "Base model",
        named(model.path, `${model.architecture}, ${plural(model.layers, "layer")}, ${model.quantization}`),
      ],
      ["Adapter", named(adapter.path, adapterText(result))],
      [
        "Samples",
        named(
          data.path ?? "given in memory",
          `${plural(data.samples, "sample")}${groups}, ${count(data.scoredTokens)} scored and ${count(data.promptTokens)} prompt tokens`,
        ),
      ],
      ["Chat template", template],
      [
        "Bounds",
        `${percent(result.confidence)} % confidence for all ${result.candidates.length} candidates together (${result.criticalValue.toFixed(2)} standard errors)`,
      ],
      [
        "Margin",
        `${percent(result.margin)} % of the adapter's gain; goal ${result.goal}; score ${result.objective}; strategy ${result.strategy}`,
      ],
      [
        "Engine",
        `llama.cpp ${engine.llamaCpp} on ${engine.backend}, ${plural(engine.threads, "thread")}, ${engine.batchTokens} tokens a batch; ${replay}`,
      ],
      [
        "Cost",
        `${cost.passes.toFixed(1)} passes over the samples in ${duration(cost.seconds)}; plain runs would be ${cost.naivePasses.toFixed(1)}`,
      ],
    ]),
  );
}

function named(name: string, text: string): Markup {
  return markup`${name}<br><span class="quiet">${text}</span>`;
}

function adapterText({ adapter }: CalibrationResult): string {
  const { rank, alpha, parameters, layers } = adapter;
  return `rank ${rank}, alpha ${alpha}, ${count(parameters)} parameters in ${plural(layers.length, "layer")}`;
}

export function reproduceSection(result: CalibrationResult): Markup {
  const { command, version, model, adapter, data, createdAt, output } = result;
  const line = command.map((part) => shellWord(part, "posix")).join(" ");
  return section(
    "How to reproduce",
    markup`<p class="quiet">
      With lora-boundary ${version}, llama.cpp ${result.engine.llamaCpp} and the files of these digests the numbers come
      out the same on the same kind of processor.
    </p>`,
    command.length > 0 ? markup`<pre>${line}</pre>` : NOTHING,
    facts([
      ["Made", createdAt],
      ["Seed", String(data.seed)],
      ["Base model", digest(model)],
      ["Adapter", digest(adapter)],
      ["Samples", markup`<code>sha256 ${data.sha256}</code>`],
      ...(output === null
        ? []
        : [["Written file", markup`${output.path}<br /><code>sha256 ${output.sha256}</code>`] as const]),
    ]),
  );
}

function digest({ sha256, fingerprint }: { readonly sha256: string; readonly fingerprint: string }): Markup {
  return markup`<code>${sha256 === "" ? `fingerprint ${fingerprint}` : `sha256 ${sha256}`}</code>`;
}

export function noticesSection({ data }: CalibrationResult, more: readonly string[]): Markup {
  const notices = [...data.notices, ...more];
  if (notices.length === 0) return NOTHING;
  return section(
    "Notices",
    notices.map((notice) => markup`<p class="notice">${notice}</p>`),
  );
}

/** What stands under the curve. */
export function boundsNote(result: CalibrationResult): string {
  const full = fullAdapter(result);
  const measure = measureOf(result);
  const value = full === undefined ? null : measure.of(full);
  const reference =
    value === null
      ? ""
      : ` The full adapter is ${intervalText({ ...value, low: value.mean, high: value.mean }, measure)}.`;
  return `The band holds for all candidates together at ${percent(result.confidence)} % confidence, so that the best of many is not believed for being the luckiest.${reference}`;
}
