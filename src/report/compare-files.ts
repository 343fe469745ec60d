import type { FileComparison } from "../lora/compare-files.js";
import { heading, INDENT, section, type Fact } from "./facts.js";
import { byteSize, count, plural } from "./numbers.js";
import { printable, styleOf, wrapped, type RenderOptions, type Style } from "./text.js";

/** Entries of one list; the rest is counted. */
const LISTED = 40;

/** What differs between two GGUF files, for a terminal. Pure; ends without a line break. */
export function renderComparison(comparison: FileComparison, options: RenderOptions): string {
  const style = styleOf(options);
  const { first, second, metadata, tensors, same } = comparison;
  const sections = [
    section("Compared", style, [
      ["first", `${printable(first.path)}, ${byteSize(first.bytes)}`],
      ["second", `${printable(second.path)}, ${byteSize(second.bytes)}`],
      ["tensors", tensorsText(tensors)],
      ...strengthFacts(comparison),
      ...(same ? ([["difference", "none: metadata and tensors are the same"]] as const) : []),
    ]),
    list("Metadata changed", style, metadata.changed, ({ key, from, to }) => `${key}: ${from} -> ${to}`),
    list("Metadata added", style, metadata.added, ({ key, value }) => `${key}: ${value}`),
    list("Metadata removed", style, metadata.removed, ({ key, value }) => `${key}: ${value}`),
    list("Tensors changed", style, tensors.changed, ({ name, what }) => `${name}: ${what.join(", ")}`),
    list("Tensors added", style, tensors.added, (name) => name),
    list("Tensors removed", style, tensors.removed, (name) => name),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function tensorsText({ same, changed, added, removed }: FileComparison["tensors"]): string {
  return `${count(same)} the same, ${count(changed.length)} changed, ${count(added.length)} added, ${count(removed.length)} removed`;
}

function strengthFacts({ strengths }: FileComparison): Fact[] {
  if (strengths === null) return [];
  const { text, otherWeights, added } = strengths;
  if (text !== null) return [["strengths", `the second is the first at ${text}`]];
  const reasons = [
    ...(otherWeights.length > 0 ? [`${plural(otherWeights.length, "pair")} with other weights`] : []),
    ...(added.length > 0 ? [`${plural(added.length, "pair")} more`] : []),
  ];
  return [["strengths", `none make the second from the first: ${reasons.join(", ") || "pairs of one layer differ"}`]];
}

function list<Entry>(title: string, style: Style, entries: readonly Entry[], text: (entry: Entry) => string): string[] {
  if (entries.length === 0) return [];
  const more = entries.length > LISTED ? [`and ${count(entries.length - LISTED)} more`] : [];
  return [
    heading(`${title} (${count(entries.length)})`, style),
    ...[...entries.slice(0, LISTED).map(text), ...more].flatMap((it) => wrapped(it, style.width, INDENT)),
  ];
}
