import { plural } from "./numbers.js";
import { styleOf, tinted, wrapped, type RenderOptions } from "./text.js";

/** A sample as the model sees it; `renderSample` makes one. */
export interface ShownSampleView {
  readonly line: number;
  readonly group: string;
  readonly tokens: readonly {
    readonly id: number;
    /** Printable. */
    readonly text: string;
    readonly scored: boolean;
    readonly control: boolean;
  }[];
  readonly scoredTokens: number;
  readonly promptTokens: number;
}

/**
 * A sample token by token: `|` between tokens, scored ones in brackets, control tokens with a star. Line breaks of the
 * text stay escaped, so that what is one token looks like one. Ends without a line break.
 */
export function renderShownSample(sample: ShownSampleView, options: RenderOptions): string {
  const style = styleOf(options);
  const runs: { readonly scored: boolean; readonly texts: string[] }[] = [];
  for (const { text, scored, control } of sample.tokens) {
    const shown = control ? `${text}*` : text;
    const last = runs.at(-1);
    if (last?.scored === scored) last.texts.push(shown);
    else runs.push({ scored, texts: [shown] });
  }
  const blocks = runs.map(({ scored, texts }) => {
    const lines = wrapped(texts.join("|").replaceAll(" ", style.unicode ? "\u00b7" : "_"), style.width - 2, "");
    return lines.map((line) => (scored ? tinted(`[${line}]`, "green", style) : ` ${line}`)).join("\n");
  });
  const facts = `Line ${sample.line}, group ${sample.group}: ${plural(sample.promptTokens, "prompt token")}, ${plural(sample.scoredTokens, "scored token")} (in brackets); | separates tokens, ${style.unicode ? "\u00b7" : "_"} is a space, * a control token.`;
  return [...wrapped(facts, style.width), "", ...blocks].join("\n");
}
