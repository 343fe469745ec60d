import { TemplateFailure, type ChatTemplate } from "./chat-template.js";
import type { Message } from "./conversation.js";
import type { Span } from "./masking.js";
import type { TokenTable } from "./token-table.js";

/** Which assistant turns are scored. */
export type ScoredTurns = "last" | "all";

export interface RenderedConversation {
  readonly text: string;
  readonly spans: readonly Span[];
  /** Scored turns after which the template gives no control token. */
  readonly withoutEndToken: number;
  /** Turns after the last assistant turn, left out: they come too late to change a score. */
  readonly leftOut: number;
}

/** The conversation cannot be scored for a reason that the user must hear; `code` is the InputError's. */
export class TurnFailure extends Error {
  readonly code: "SAMPLES_AMBIGUOUS_TURN" | "SAMPLES_EMPTY_COMPLETION";

  constructor(code: TurnFailure["code"], message: string) {
    super(message);
    this.code = code;
  }
}

function tryRender(template: ChatTemplate, messages: readonly Message[], addGenerationPrompt: boolean): string | null {
  try {
    return template.render(messages, addGenerationPrompt);
  } catch (error) {
    // Many templates refuse an empty conversation or one that ends early; other ways are tried then.
    if (error instanceof TemplateFailure) return null;
    throw error;
  }
}

/** A word that no message contains, to stand for one turn's content. */
function unusedWord(messages: readonly Message[]): string {
  for (let count = 0; ; count++) {
    const word = `LoraBoundaryTurn${count}Content`;
    if (messages.every((message) => Object.values(message).every((text) => !text.includes(word)))) return word;
  }
}

/** What a template writes before and after one turn's content, found by rendering another word in its place; null where unclear. */
function surroundings(
  messages: readonly Message[],
  turn: number,
  template: ChatTemplate,
): { readonly head: string; readonly tail: string } | null {
  const word = unusedWord(messages);
  const replaced = messages.map((message, index) => (index === turn ? { ...message, content: word } : message));
  const parts = tryRender(template, replaced, false)?.split(word) ?? [];
  const [head, tail] = parts;
  return parts.length !== 2 || head === undefined || tail === undefined ? null : { head, tail };
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return a.slice(0, length);
}

/** The only place where the content stands in `text` from `from` on; null where it stands nowhere or twice. */
function onlyPlace(content: string, text: string, from: number): number | null {
  const first = text.indexOf(content, from);
  return first !== -1 && text.indexOf(content, first + 1) === -1 ? first : null;
}

/**
 * Where the turn starts: after what the template writes to open it (the generation prompt), which is what the model is
 * given when it answers. A template that has none, or that writes it but not on request, opens the turn where its
 * content starts.
 */
function turnStart(
  messages: readonly Message[],
  turn: number,
  full: string,
  template: ChatTemplate,
  contentStart: number | null,
): number | null {
  const before = messages.slice(0, turn);
  const opened = tryRender(template, before, true);
  if (opened === null || opened === "" || !full.startsWith(opened)) return contentStart;
  if (tryRender(template, before, false) !== opened) return opened.length;
  if (contentStart === null || contentStart < opened.length) return contentStart;
  // Only white space in between (Llama 2): the model writes it. Else it is a header that the template puts there itself.
  return full.slice(opened.length, contentStart).trim() === "" ? opened.length : contentStart;
}

function ambiguous(turn: number): TurnFailure {
  return new TurnFailure(
    "SAMPLES_AMBIGUOUS_TURN",
    `The chat template changes turn ${turn + 1} so that its place in the rendered text is unclear. ` +
      "Give another chat template, or the rendered text as `prompt` and `completion`.",
  );
}

/**
 * Renders a conversation and finds its scored turns. A turn's span is what follows the generation prompt: the content
 * (with what the template puts before it, for example an empty thinking block) and the end-of-turn token; the newline
 * that many templates write after that token is not scored.
 * @throws TemplateFailure where the template refuses the conversation
 * @throws TurnFailure where a scored turn cannot be located or is empty
 */
export function renderConversation(
  conversation: readonly Message[],
  turns: ScoredTurns,
  template: ChatTemplate,
  table: TokenTable,
): RenderedConversation {
  const last = conversation.findLastIndex((message) => message.role === "assistant");
  const messages = conversation.slice(0, last + 1);
  const text = template.render(messages, false);
  const spans: Span[] = [];
  let withoutEndToken = 0;
  for (const [turn, message] of messages.entries()) {
    if (message.role !== "assistant" || (turns === "last" && turn !== last)) continue;
    const around = surroundings(messages, turn, template);
    const contentStart = around !== null && text.startsWith(around.head) ? around.head.length : null;
    const content = message.content.trim();
    let start = turnStart(messages, turn, text, template, contentStart);
    start ??= content === "" ? null : onlyPlace(content, text, spans.at(-1)?.end ?? 0);
    if (start === null) throw ambiguous(turn);
    let contentEnd = around !== null && text.endsWith(around.tail) ? text.length - around.tail.length : null;
    if (contentEnd === null || contentEnd < start) {
      const at = content === "" ? null : onlyPlace(content, text, start);
      if (at === null) throw ambiguous(turn);
      contentEnd = at + content.length;
    }
    if (content === "" || text.slice(start, contentEnd).trim() === "") {
      throw new TurnFailure(
        "SAMPLES_EMPTY_COMPLETION",
        `Turn ${turn + 1} is scored but ${content === "" ? "empty" : "the chat template leaves out its content"}.`,
      );
    }
    // The next turn's header may be a control token too. What this turn writes whether or not another follows is its own.
    const alone = turn === last ? around : surroundings(messages.slice(0, turn + 1), turn, template);
    const length = alone === null ? 0 : table.controlEnd(commonStart(alone.tail, text.slice(contentEnd)));
    if (length === 0) withoutEndToken += 1;
    const previous = spans.at(-1);
    if (previous !== undefined && start < previous.end) throw ambiguous(turn);
    spans.push({ start, end: contentEnd + length });
  }
  return { text, spans, withoutEndToken, leftOut: conversation.length - messages.length };
}
