import { printable } from "../text.js";

/** HTML or SVG that is safe to put into a page: made only by {@link markup}, which escapes everything that is not Markup. */
export class Markup {
  readonly #text: string;

  /** @internal */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type Content = string | number | Markup | null | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Foreign text as HTML text or attribute value; control, invisible and bidirectional characters become escapes. */
export function escaped(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? ""))
    .join("\n");
}

/**
 * A template whose values are escaped unless they are Markup themselves; arrays are joined, null is nothing. Values stand
 * in text or inside quotes of an attribute, never in tag or attribute names.
 */
export function markup(literals: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(literals.reduce((text, literal, index) => text + rendered(values[index - 1] ?? null) + literal));
}

export const NOTHING = markup``;

function rendered(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return escaped(content);
  if (typeof content === "number") return String(content);
  return content instanceof Markup ? content.toString() : content.map(rendered).join("");
}
