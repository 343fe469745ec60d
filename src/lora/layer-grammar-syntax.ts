import { UsageError } from "../errors.js";
import type { Part } from "./lora-pair.js";

/** What a term names: layers `first` to `last`, both included, or a part of each. */
export interface Unit {
  /** Null for the whole layer. */
  readonly part: Part | null;
  readonly first: number;
  readonly last: number;
  /** Of its first character in the text, counted from 1. */
  readonly position: number;
}

/** What stands left of `=`: a unit, what no other term names, or a pair outside the layers. */
export type Target =
  | Unit
  | { readonly rest: Part | null; readonly position: number }
  | { readonly outside: "input" | "output"; readonly position: number };

export type Shape =
  | { readonly kind: "name"; readonly name: string; readonly position: number }
  | { readonly kind: "scale"; readonly strength: number }
  | { readonly kind: "upto" | "from"; readonly layer: number; readonly position: number }
  | { readonly kind: "only" | "without"; readonly units: readonly Unit[] }
  | { readonly kind: "assign"; readonly terms: readonly { readonly target: Target; readonly strength: number }[] };

/** A text of the grammar, not yet held against a number of layers. */
export interface Syntax {
  readonly text: string;
  readonly shape: Shape;
  /** What stands behind `*` at the end; 1 where there is none. */
  readonly factor: number;
}

/** Where a text comes from, for messages. */
export interface TextSource {
  /** As in "Expected ... for `--keep`". */
  readonly option: string;
  /** What has the layers: `a.gguf has LoRA in layers 0-3`. */
  readonly owner?: string | undefined;
  /** Of a text that stands in a file of presets: `preset \`mine\` of presets.json`. */
  readonly preset?: string;
}

const WORD = /[A-Za-z_][\w.-]*/y;
const LAYER = /\d+/y;
const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const SPACE = /\s*/y;
/** One foreign piece in a message: what stands at a position, up to the next separator. */
const RECEIVED = /[,=*:]|[^\s,=*:]{1,40}/y;
const PARTS: readonly string[] = ["attention", "ffn"];
const LIST_START: readonly string[] = [...PARTS, "input", "output"];

/**
 * Reads a text of the grammar of layer strengths; see `layer-grammar.ts` for the words.
 *
 * @throws UsageError SCALES_EMPTY, SCALES_SYNTAX, SCALES_NUMBER, with `details.position` counted from 1
 */
export function parseSyntax(text: string, source: TextSource): Syntax {
  return new Parser(text, source).parse();
}

/** The one place that makes the grammar's errors: each names the text and a position in it, counted from 1. */
export function grammarError(code: string, message: string, text: string, position: number, source: TextSource) {
  const where = source.preset === undefined ? "" : ` (${source.preset})`;
  return new UsageError(`SCALES_${code}`, `${message} at character ${position} of \`${text}\`${where}.`, {
    details: { option: source.option, text, position },
  });
}

class Parser {
  readonly #text: string;
  readonly #source: TextSource;
  #at = 0;

  constructor(text: string, source: TextSource) {
    this.#text = text;
    this.#source = source;
  }

  parse(): Syntax {
    this.#take(SPACE);
    if (this.#at === this.#text.length)
      throw this.#unexpected("a selection of layers such as `0-17` or `upto:18`", "EMPTY");
    const shape = this.#shape();
    const factor = shape.kind !== "assign" && this.#symbol("*") ? this.#number() : 1;
    if (this.#at < this.#text.length) {
      throw this.#unexpected(shape.kind === "assign" ? "`,` or the end" : "`,`, `*` with a strength, or the end");
    }
    return { text: this.#text, shape, factor };
  }

  #shape(): Shape {
    const start = this.#at;
    const position = start + 1;
    const word = this.#take(WORD);
    if (word === "" || LIST_START.includes(word)) {
      this.#at = start;
      return this.#list();
    }
    this.#take(SPACE);
    switch (word) {
      case "scale":
        this.#require(":");
        return { kind: "scale", strength: this.#number() };
      case "upto":
      case "from":
        this.#require(":");
        return { kind: word, position: this.#at + 1, layer: this.#layer() };
      case "window":
        this.#require(":");
        return { kind: "only", units: [this.#range(null, this.#at + 1)] };
      case "without":
        this.#require(":");
        return { kind: "without", units: this.#units() };
      case "not":
        return { kind: "without", units: this.#units() };
      default:
        if (word === "spread" && this.#peek(":")) {
          this.#at = start;
          throw this.#error(
            "NAME",
            `Expected layers for \`--${this.#source.option}\` but received \`spread:\`, a subset that a search has found: take it from that result (\`--from result.json\`)`,
          );
        }
        return { kind: "name", name: word, position };
    }
  }

  /** `0-3,5` or `0-3=1,5=0.5`: its first term decides which. */
  #list(): Shape {
    const first = this.#target();
    if (!("first" in first) || this.#peek("=")) return this.#assignments(first);
    return { kind: "only", units: [first, ...this.#moreUnits()] };
  }

  #assignments(first: Target): Shape {
    const terms: { target: Target; strength: number }[] = [];
    let target = first;
    for (;;) {
      this.#require("=");
      terms.push({ target, strength: this.#number() });
      if (!this.#symbol(",")) return { kind: "assign", terms };
      target = this.#target();
    }
  }

  #units(): readonly Unit[] {
    return [this.#unit(), ...this.#moreUnits()];
  }

  #moreUnits(): Unit[] {
    const units: Unit[] = [];
    while (this.#symbol(",")) units.push(this.#unit());
    return units;
  }

  #target(): Target {
    const start = this.#at;
    const position = start + 1;
    const word = this.#take(WORD);
    this.#take(SPACE);
    if (word === "input" || word === "output") return { outside: word, position };
    const part = PARTS.includes(word) ? (word as Part) : null;
    if (part !== null) this.#require(":");
    else this.#at = start;
    if (this.#symbol("*")) return { rest: part, position };
    return this.#range(part, position);
  }

  #unit(): Unit {
    const start = this.#at;
    const target = this.#target();
    if ("first" in target) return target;
    this.#at = start;
    throw this.#unexpected("a layer or a range of layers");
  }

  #range(part: Part | null, position: number): Unit {
    const first = this.#layer();
    const at = this.#at;
    const last = this.#symbol("-") ? this.#layer() : first;
    if (last < first) {
      this.#at = at;
      throw this.#error("SYNTAX", `Expected a range that runs upwards but received ${first}-${last}`);
    }
    return { part, first, last, position };
  }

  #layer(): number {
    const digits = this.#take(LAYER);
    if (digits === "") throw this.#unexpected("a layer such as `5`, or a range such as `0-17`");
    this.#take(SPACE);
    // Any number this long is out of every model's range, which is said where the number of layers is known.
    return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
  }

  #number(): number {
    const start = this.#at;
    const digits = this.#take(NUMBER);
    const value = Number(digits);
    if (digits === "" || !Number.isFinite(value)) {
      this.#at = start;
      throw this.#unexpected("a finite number", "NUMBER");
    }
    this.#take(SPACE);
    // One zero: a strength of -0 is 0.
    return value + 0;
  }

  #peek(symbol: string): boolean {
    return this.#text.startsWith(symbol, this.#at);
  }

  #symbol(symbol: string): boolean {
    if (!this.#peek(symbol)) return false;
    this.#at += symbol.length;
    this.#take(SPACE);
    return true;
  }

  #require(symbol: string): void {
    if (!this.#symbol(symbol)) throw this.#unexpected(`\`${symbol}\``);
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #unexpected(expected: string, code = "SYNTAX"): UsageError {
    RECEIVED.lastIndex = this.#at;
    const received = RECEIVED.exec(this.#text)?.[0];
    return this.#error(
      code,
      `Expected ${expected} for \`--${this.#source.option}\` but received ${received === undefined ? "nothing" : `\`${received}\``}`,
    );
  }

  #error(code: string, message: string): UsageError {
    return grammarError(code, message, this.#text, this.#at + 1, this.#source);
  }
}
