import type { Answer } from "../generation/types.js";
import { printable, styleOf, tinted, type RenderOptions } from "./text.js";

export interface AnswersView {
  readonly candidates: readonly string[];
  /** As the model saw them. */
  readonly prompts: readonly string[];
  /** Per candidate, per prompt; null: not written. */
  readonly answers: readonly (readonly (Answer | null)[])[];
  readonly maxTokens: number;
}

/** Line breaks and tabs are the model's; other control characters could move the cursor. */
function shown(text: string): string {
  return text
    .split(/([\n\t])/)
    .map((part, index) => (index % 2 === 1 ? part : printable(part)))
    .join("");
}

/** One prompt's answers as they grow, one candidate under the other. */
export class AnswerStream {
  readonly #write: (text: string) => void;
  readonly #options: RenderOptions;
  #candidate: string | null = null;

  constructor(write: (text: string) => void, options: RenderOptions) {
    this.#write = write;
    this.#options = options;
  }

  write(candidate: string, text: string): void {
    if (candidate !== this.#candidate) {
      this.#write(`${tinted(printable(candidate), "bold", styleOf(this.#options))}\n`);
      this.#candidate = candidate;
    }
    this.#write(shown(text));
  }

  end(candidate: string, { text }: Answer): void {
    // An empty answer has its heading all the same.
    this.write(candidate, "");
    this.#write(text.endsWith("\n") ? "\n" : "\n\n");
  }
}

/** All answers: per prompt, one candidate under the other. */
export function renderAnswers(view: AnswersView, options: RenderOptions): string {
  const { candidates, prompts, answers } = view;
  const style = styleOf(options);
  const blocks = prompts.flatMap((prompt, index) => {
    const head = tinted(`Prompt ${index + 1}`, "bold", style);
    const written = candidates.flatMap((id, position) => {
      const answer = answers[position]?.[index] ?? null;
      return answer === null ? [] : [`${tinted(printable(id), "bold", style)}\n${shown(answer.text)}`];
    });
    return written.length === 0 ? [] : [[`${head}\n${shown(prompt)}`, ...written].join("\n\n")];
  });
  return [...blocks, renderAnswerEnds(view, options)].filter((block) => block !== "").join("\n\n");
}

/** How many answers were cut off; "" where none was. */
export function renderAnswerEnds({ candidates, answers, maxTokens }: AnswersView, options: RenderOptions): string {
  const cut = candidates.flatMap((id, index) => {
    const column = answers[index] ?? [];
    const count = column.filter((answer) => answer?.finish === "length").length;
    return count === 0 ? [] : [`${printable(id)} ${count} of ${column.length}`];
  });
  if (cut.length === 0) return "";
  return tinted(
    `Not ended by the model but cut off: ${cut.join(", ")} (--max-tokens ${maxTokens}, or the context).`,
    "yellow",
    styleOf(options),
  );
}
