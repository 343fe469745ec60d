import { ChatTemplate, TemplateFailure } from "./chat-template.js";
import type { Message } from "./conversation.js";
import { escapeControls, excerpt } from "./escape-text.js";
import { maskText, type Span } from "./masking.js";
import { chatTemplateNames } from "./named-templates.js";
import type { Notices } from "./notices.js";
import type { CheckedOptions } from "./options.js";
import { rowError, type Origin } from "./origin.js";
import type { Row } from "./rows.js";
import { TokenTable } from "./token-table.js";
import type { Tokenizer } from "./tokenizer.js";
import { renderConversation, TurnFailure, type RenderedConversation } from "./turn-spans.js";

/** Token ids and their mask, BOS and EOS included. */
export interface EncodedRow {
  readonly tokens: Int32Array;
  readonly scored: Uint8Array;
}

/**
 * Makes tokens of rows. BOS and EOS are put in here, never by `addSpecial`: a BOS where the model's metadata asks for
 * one and a chat template has not written it, an EOS only with the option `eos` (models whose metadata asks for an EOS
 * after every text get none, for it would be scored by accident).
 */
export class RowEncoder {
  readonly #options: CheckedOptions;
  readonly #origin: Origin;
  readonly #notices: Notices;
  readonly #table: TokenTable;
  readonly #controlTexts: readonly string[];
  #template: ChatTemplate | null = null;

  constructor(tokenizer: Tokenizer, options: CheckedOptions, origin: Origin, notices: Notices) {
    this.#options = options;
    this.#origin = origin;
    this.#notices = notices;
    this.#table = new TokenTable(tokenizer);
    const ids = [tokenizer.bos, tokenizer.eos, tokenizer.eot];
    this.#controlTexts = [...new Set(ids.map((id) => this.#table.text(id)))].filter((text) => text.length > 2).sort();
  }

  /** The chat template, where any row needed it. */
  get template(): ChatTemplate | null {
    return this.#template;
  }

  /** @throws InputError naming file and line */
  encode(row: Row): EncodedRow {
    switch (row.form) {
      case "completion":
        return this.#plain(row, row.prompt, row.completion);
      case "text":
        return this.#plain(row, "", row.text);
      case "prompt":
        return this.#plain(row, "", row.prompt);
      case "choices":
        return this.#plain(row, row.prompt, row.choices[row.right] ?? "");
      case "conversation":
        return this.#conversation(row, row.messages);
      case "alpaca":
        return this.#alpaca(row);
    }
  }

  /** The prompt with each choice behind it. */
  encodeChoices(row: Row & { readonly form: "choices" }): readonly EncodedRow[] {
    return row.choices.map((choice) => this.#plain(row, row.prompt, choice));
  }

  #alpaca(row: Row & { readonly form: "alpaca" }): EncodedRow {
    const template = this.#options.promptTemplate;
    if (template === null) {
      const request = row.input === "" ? row.instruction : `${row.instruction}\n\n${row.input}`;
      return this.#conversation(row, [
        { role: "user", content: request },
        { role: "assistant", content: row.output },
      ]);
    }
    if (row.input !== "" && !template.takesInput) {
      throw rowError(
        "SAMPLES_BAD_ROW",
        this.#origin,
        row.line,
        "The row has an `input` but `promptTemplate` has no place for it. Add {input} to the template.",
      );
    }
    return this.#plain(row, template.fill(row.instruction, row.input), row.output);
  }

  #plain(row: Row, prompt: string, completion: string): EncodedRow {
    const text = prompt + completion;
    const { bos, addBos, eos } = this.#table.tokenizer;
    const bosText = this.#table.text(bos);
    if (addBos && bosText !== "" && text.startsWith(bosText)) {
      throw rowError(
        "SAMPLES_DOUBLE_BOS",
        this.#origin,
        row.line,
        `The text starts with ${escapeControls(bosText)}, which the model puts in front of every text itself. Remove it.`,
      );
    }
    for (const control of this.#controlTexts) {
      if (text.includes(control)) {
        this.#notices.add("controlText", row.line, `\`${escapeControls(control)}\``);
        break;
      }
    }
    const spans = [{ start: prompt.length, end: text.length }];
    return this.#finish(row, text, spans, false, this.#options.eos ? eos : null);
  }

  #conversation(row: Row, messages: readonly Message[]): EncodedRow {
    const template = (this.#template ??= this.#compile(row));
    let rendered: RenderedConversation;
    try {
      rendered = renderConversation(messages, this.#options.score, template, this.#table);
    } catch (cause) {
      if (!(cause instanceof TemplateFailure || cause instanceof TurnFailure)) throw cause;
      const code = cause instanceof TurnFailure ? cause.code : "TEMPLATE_FAILED";
      const message = cause instanceof TurnFailure ? cause.message : `${excerpt(cause.message, 400)}.`;
      throw rowError(code, this.#origin, row.line, `${message} (chat template: ${template.options.name})`, { cause });
    }
    if (rendered.withoutEndToken > 0) this.#notices.add("noEndToken", row.line);
    if (rendered.leftOut > 0) this.#notices.add("leftOut", row.line);
    return this.#finish(row, rendered.text, rendered.spans, true, null);
  }

  #compile(row: Row): ChatTemplate {
    const { chatTemplate, templateVariables, templateDate } = this.#options;
    const { tokenizer } = this.#table;
    const source = chatTemplate?.source ?? tokenizer.chatTemplate;
    if (source === null) {
      const training = row.form === "alpaca" ? " Or give `promptTemplate`, for example `alpaca`." : "";
      throw rowError(
        "SAMPLES_NEED_TEMPLATE",
        this.#origin,
        row.line,
        `The row needs a chat template but the model has none. Give \`chatTemplate\`: a template file or one of ${chatTemplateNames.join(", ")}.${training}`,
      );
    }
    return new ChatTemplate(source, {
      origin: chatTemplate?.origin ?? "model",
      name: chatTemplate?.name ?? "of the model",
      bosText: this.#table.text(tokenizer.bos),
      eosText: this.#table.text(tokenizer.eos),
      variables: templateVariables,
      date: templateDate,
    });
  }

  #finish(row: Row, text: string, spans: readonly Span[], templated: boolean, eos: number | null): EncodedRow {
    const { bos, addBos } = this.#table.tokenizer;
    const masked = maskText(text, spans, this.#table, templated);
    // In templated text a space before the answer is the template's, and nothing the user could move.
    if ((templated ? masked.straddlingText : masked.straddling) > 0) this.#notices.add("straddling", row.line);
    if (masked.separate) this.#notices.add("separate", row.line);
    const front = addBos && bos !== null && masked.tokens[0] !== bos ? [bos] : [];
    const back = eos === null ? [] : [eos];
    const tokens = Int32Array.from([...front, ...masked.tokens, ...back]);
    const scored = Uint8Array.from([...front.map(() => 0), ...masked.scored, ...back.map(() => 1)]);
    if (scored[0] === 1) {
      scored[0] = 0;
      this.#notices.add("firstToken", row.line);
    }
    if (!scored.includes(1)) {
      throw rowError(
        "SAMPLES_NOTHING_SCORED",
        this.#origin,
        row.line,
        `No token is scored: the sample has ${tokens.length} token${tokens.length === 1 ? "" : "s"}, and the first cannot be predicted. Give it a prompt or a longer completion.`,
      );
    }
    return { tokens, scored };
  }
}
