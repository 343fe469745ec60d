import type { AdapterDescription, ModelDescription, PairGroup } from "../lora/describe.js";
import { formatLayers } from "../lora/layer-ranges.js";
import type { TypeShare } from "../lora/quantization.js";
import { hanging, heading, INDENT, section, type Fact } from "./facts.js";
import { byteSize, count, plural } from "./numbers.js";
import { clipped, displayWidth, padded, printable, styleOf, tinted, wrapped } from "./text.js";
import type { RenderOptions, Style } from "./text.js";

const GAP = "  ";
/** Modules stand beside the numbers where they have this much room, else on lines of their own. */
const MODULE_COLUMNS = 24;
/** Names in one list; the rest is counted. */
const NAMED = 20;
/** Rows of the layer table: the most layers that llama.cpp can load. Only a crafted file has more. */
const ROWS = 512;
/** Of one foreign value; longer ones are cut, or a crafted file could fill the screen. */
const VALUE_COLUMNS = 400;

/**
 * What is in an adapter or a model, for a terminal. Neighbouring layers that are alike share one row, whose numbers
 * are those of each of its layers. Pure: the caller prints it. Ends without a line break.
 */
export function renderDescription(description: AdapterDescription | ModelDescription, options: RenderOptions): string {
  const style = styleOf(options);
  const sections =
    description.kind === "adapter" ? adapterSections(description, style) : modelSections(description, style);
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function adapterSections(adapter: AdapterDescription, style: Style): string[][] {
  const { layers, globals, ignored, unknown, invocationTokens, ranks, alpha, rank } = adapter;
  const range = formatLayers(layers.map(({ layer }) => layer));
  const where = layers.length === 0 ? "" : ` in ${plural(layers.length, "layer")} (${foreign(range, style)})`;
  const outside = globals.length === 0 ? "" : `, ${globals.length} of them outside the layers`;
  return [
    section("LoRA adapter", style, [
      ...commonFacts(adapter, style),
      ["pairs", `${count(adapter.pairs)}${where}${outside}`],
      ["parameters", count(adapter.parameters)],
      ["rank", ranks.join(", ")],
      ["alpha", `${short(alpha)} (alpha / rank = ${short(alpha / rank)}${ranks.length > 1 ? ` at rank ${rank}` : ""})`],
      ["types", adapter.types.map(({ type, tensors }) => `${type} (${plural(tensors, "tensor")})`).join(", ")],
      ...(invocationTokens === null ? [] : ([["activated", `behind token ids ${listed(invocationTokens)}`]] as const)),
    ]),
    layers.length === 0 ? [] : [heading("Per layer", style), ...layerTable(layers, style)],
    globals.length === 0
      ? []
      : [heading("Outside the layers", style), ...globals.flatMap((it) => hanging(globalText(it, style), style))],
    namesOf("Ignored by llama.cpp, which reads over norms:", ignored, style),
    namesOf("Not known to llama.cpp, which refuses this file:", unknown, style).map((line) =>
      tinted(line, "yellow", style),
    ),
    provenanceSection(adapter.provenance, style),
  ];
}

function modelSections(model: ModelDescription, style: Style): string[][] {
  const { contextLength, embeddingLength, fileType, quantization, shards } = model;
  return [
    section("Base model", style, [
      ...commonFacts(model, style),
      ["layers", count(model.layers)],
      ["parameters", count(model.parameters)],
      ["tensors", count(model.tensors)],
      [
        "weights",
        fileType === null || fileType === quantization ? quantization : `${quantization} (file type ${fileType})`,
      ],
      ...(contextLength === null ? [] : ([["context", plural(contextLength, "token")]] as const)),
      ...(embeddingLength === null ? [] : ([["embedding", count(embeddingLength)]] as const)),
    ]),
    [heading("Types", style), ...typeTable(model.types, style)],
    shards.length < 2
      ? []
      : [
          heading(plural(shards.length, "shard"), style),
          ...shards.flatMap(({ path, tensors, bytes }) =>
            hanging(`${printable(path)}: ${plural(tensors, "tensor")}, ${byteSize(bytes)}`, style),
          ),
        ],
  ];
}

function commonFacts(file: AdapterDescription | ModelDescription, style: Style): Fact[] {
  return [
    ["path", printable(file.path)],
    ...(file.name === null ? [] : ([["name", foreign(file.name, style)]] as const)),
    ["architecture", foreign(file.architecture, style)],
    [
      "size",
      `${byteSize(file.bytes)}${file.bytes < 1024 ? "" : ` (${count(file.bytes)} bytes)`}, GGUF ${file.version}`,
    ],
  ];
}

interface Column<Row> {
  readonly title: string;
  readonly align: "left" | "right";
  readonly cell: (row: Row) => string;
}

/** The first set of columns that fits, the last one with its first column cut; with the columns that a row takes. */
function table<Row>(
  rows: readonly Row[],
  sets: readonly (readonly Column<Row>[])[],
  style: Style,
): { readonly head: string; readonly line: (row: Row) => string; readonly columns: number } {
  const measured = sets.map((columns) => {
    const widths = columns.map(({ title, cell }) =>
      rows.reduce((most, row) => Math.max(most, displayWidth(cell(row))), displayWidth(title)),
    );
    const total = INDENT.length + widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1);
    return { columns, widths, total };
  });
  const chosen = measured.find(({ total }) => total <= style.width) ?? measured.at(-1);
  const widths = [...(chosen?.widths ?? [])];
  const excess = Math.max(0, (chosen?.total ?? 0) - style.width);
  widths[0] = Math.max(1, (widths[0] ?? 0) - excess);
  const line = (cellOf: (column: Column<Row>) => string) =>
    INDENT +
    (chosen?.columns ?? [])
      .map((column, index) => {
        const room = widths[index] ?? 0;
        return padded(clipped(cellOf(column), room, style), room, column.align);
      })
      .join(GAP);
  return {
    head: line(({ title }) => title),
    line: (row) => line(({ cell }) => cell(row)),
    columns: Math.min(chosen?.total ?? 0, style.width),
  };
}

type LayerRow = PairGroup & { readonly layers: readonly number[] };

function layerTable(layers: AdapterDescription["layers"], style: Style): string[] {
  const all = folded(layers);
  const rows = all.slice(0, ROWS);
  const more = all.length - rows.length;
  const column = (title: string, align: "left" | "right", cell: (row: LayerRow) => string): Column<LayerRow> => ({
    ...{ title, align, cell },
  });
  const layer = column("layer", "left", (row) => formatLayers(row.layers));
  const pairs = column("pairs", "right", (row) => count(row.pairs));
  const rank = column("rank", "right", ({ ranks }) =>
    ranks.length > 2 ? `${ranks[0] ?? ""} to ${ranks.at(-1) ?? ""}` : ranks.join(", "),
  );
  const parameters = column("parameters", "right", (row) => count(row.parameters));
  const size = column("size", "right", (row) => byteSize(row.bytes));
  const types = column("types", "left", (row) => row.types.join(", "));
  const sets = [
    [layer, pairs, rank, parameters, size, types],
    [layer, pairs, rank, size, types],
    [layer, rank, size, types],
    [layer, rank, size],
    [layer, size],
  ];
  const { head, line, columns } = table(rows, sets, style);
  const beside = style.width - columns - GAP.length >= MODULE_COLUMNS;
  const indent = beside ? columns + GAP.length : 2 * INDENT.length;
  const title = beside ? `${head}${GAP}modules` : head.trimEnd();
  return [
    tinted(title, "bold", style),
    ...rows.flatMap((row) => {
      const modules = wrapped(listed(row.modules), style.width, " ".repeat(indent));
      const [first = "", ...rest] = modules;
      return beside ? [line(row) + first.slice(columns), ...rest] : [line(row).trimEnd(), ...modules];
    }),
    ...(more > 0 ? hanging(`and ${count(more)} more`, style) : []),
  ];
}

/** Layers that follow each other and are alike in everything become one row. */
function folded(layers: AdapterDescription["layers"]): LayerRow[] {
  const rows: (PairGroup & { readonly layers: number[]; readonly key: string })[] = [];
  for (const { layer, ...group } of layers) {
    const key = JSON.stringify(group);
    const last = rows.at(-1);
    if (last?.key === key && last.layers.at(-1) === layer - 1) last.layers.push(layer);
    else rows.push({ ...group, layers: [layer], key });
  }
  return rows;
}

function typeTable(shares: readonly TypeShare[], style: Style): string[] {
  const type: Column<TypeShare> = { title: "type", align: "left", cell: (row) => row.type };
  const tensors: Column<TypeShare> = { title: "tensors", align: "right", cell: (row) => count(row.tensors) };
  const parameters: Column<TypeShare> = { title: "parameters", align: "right", cell: (row) => count(row.parameters) };
  const size: Column<TypeShare> = { title: "size", align: "right", cell: (row) => byteSize(row.bytes) };
  const sets = [
    [type, tensors, parameters, size],
    [type, parameters, size],
    [type, size],
  ];
  const { head, line } = table(shares, sets, style);
  return [tinted(head.trimEnd(), "bold", style), ...shares.map((row) => line(row).trimEnd())];
}

function globalText({ name, place, pair }: AdapterDescription["globals"][number], style: Style): string {
  const where = place === "input" ? "below layer 0" : "above the last layer";
  const facts = [`rank ${pair.ranks.join(", ")}`, plural(pair.parameters, "parameter"), byteSize(pair.bytes)];
  return `${foreign(name, style)} (${where}): ${facts.join(", ")}, ${pair.types.join(", ")}`;
}

function namesOf(title: string, names: readonly string[], style: Style): string[] {
  if (names.length === 0) return [];
  return [...wrapped(title, style.width), ...wrapped(listed(names), style.width, INDENT)];
}

function provenanceSection(provenance: AdapterDescription["provenance"], style: Style): string[] {
  const facts = Object.entries(provenance).map(([key, value]): Fact => {
    const label = key.replace(/^lora_boundary\./, "");
    const layers = /(^|\.)kept_layers$/.test(label) && isNumbers(value);
    return [foreign(label, style), foreign(layers ? formatLayers(value) || "none" : valueText(value), style)];
  });
  return facts.length === 0 ? [] : section("Written by lora-boundary", style, facts);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((element) => typeof element === "number");
}

function valueText(value: unknown): string {
  return Array.isArray(value) ? listed(value.slice(0, NAMED + 1).map(valueText), value.length) : String(value);
}

function listed(items: readonly (string | number)[], total = items.length): string {
  const more = total > NAMED ? ` and ${count(total - NAMED)} more` : "";
  return printable(items.slice(0, NAMED).join(", ")) + more;
}

/** Of a foreign text no more than its first columns, harmless. */
function foreign(text: string, style: Style): string {
  return clipped(printable(text.slice(0, VALUE_COLUMNS + 1)), VALUE_COLUMNS, style);
}

/** The digits that an f32 really has. */
function short(value: number): string {
  return String(Number(value.toPrecision(7)));
}
