import { places, type Origin } from "./origin.js";

/** Things to tell the user that are not errors; each kind becomes one sentence with the lines it concerns. */
export type NoticeKind =
  "tooLong" | "duplicate" | "straddling" | "separate" | "controlText" | "noEndToken" | "leftOut" | "firstToken";

const plural = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;

const SENTENCES: Readonly<Record<NoticeKind, (count: number, detail: string) => string>> = {
  tooLong: (count, detail) =>
    `${plural(count, "sample has", "samples have")} more than ${detail} tokens and ${count === 1 ? "was" : "were"} left out.`,
  duplicate: (count) =>
    `${plural(count, "sample repeats", "samples repeat")} an earlier one, token by token; without a \`group\` of ${count === 1 ? "its" : "their"} own, repeats count as one piece of evidence.`,
  straddling: (count) =>
    `in ${plural(count, "sample", "samples")} one token holds the end of the prompt and the start of the completion; it is scored. A space between the two belongs at the start of the completion.`,
  separate: (count) =>
    `the tokenizer changes the text of ${plural(count, "sample", "samples")}, so prompt and completion were tokenised separately.`,
  controlText: (count, detail) =>
    `${plural(count, "sample contains", "samples contain")} ${detail} as text. Control tokens are read only in \`messages\`, \`conversations\` and other rows that go through a chat template; here they are plain characters.`,
  noEndToken: (count) =>
    `in ${plural(count, "sample", "samples")} the chat template writes no end-of-turn token that this model knows, so only the content is scored. Check that the template is the model's.`,
  leftOut: (count) =>
    `${plural(count, "conversation goes", "conversations go")} on after the last assistant turn; what follows it cannot change a score and was left out.`,
  firstToken: (count) =>
    `in ${plural(count, "sample", "samples")} the first token is not scored, because nothing stands before it.`,
};

/** Collects lines by kind; sentences come out in the order of the table above, so the same file gives the same notices. */
export class Notices {
  readonly #lines = new Map<NoticeKind, number[]>();
  readonly #details = new Map<NoticeKind, Set<string>>();

  add(kind: NoticeKind, line: number, detail = ""): void {
    const lines = this.#lines.get(kind);
    if (lines === undefined) this.#lines.set(kind, [line]);
    // A row with choices is tokenised once for each.
    else if (lines.at(-1) !== line) lines.push(line);
    const details = this.#details.get(kind) ?? new Set<string>();
    this.#details.set(kind, details.add(detail));
  }

  lines(kind: NoticeKind): readonly number[] {
    return this.#lines.get(kind) ?? [];
  }

  sentences(origin: Origin): string[] {
    return (Object.keys(SENTENCES) as NoticeKind[]).flatMap((kind) => {
      const lines = this.#lines.get(kind);
      if (lines === undefined) return [];
      const detail = [...(this.#details.get(kind) ?? [])].sort().join(", ");
      return [`${places(origin, lines)}: ${SENTENCES[kind](lines.length, detail)}`];
    });
  }
}
