import { describe, expect, it } from "vitest";
import { alignTokens } from "../../src/data/align.js";
import { excerpt, escapeBytes, escapeControls } from "../../src/data/escape-text.js";
import { places } from "../../src/data/origin.js";
import { mulberry32 } from "../../src/data/shuffle.js";
import { parseDate, strftime } from "../../src/data/strftime.js";
import { TokenTable } from "../../src/data/token-table.js";
import { TestTokenizer } from "../support/data-tokenizer.js";

describe("alignTokens", () => {
  const spm = new TestTokenizer({
    controls: ["<a>", "<b>"],
    bos: null,
    eos: null,
    words: [" hi", "hi", "  "],
    dummyPrefix: true,
  });
  const offsets = (texts: string[], text: string) => {
    const found = alignTokens(Int32Array.from(spm.ids(...texts)), Buffer.from(text), new TokenTable(spm));
    return found && Array.from(found.starts, (start, index) => [start, found.ends[index]]);
  };

  it("places tokens that spell the text", () => {
    expect(offsets(["hi", " hi", "<a>"], "hi hi<a>")).toEqual([
      [0, 2],
      [2, 5],
      [5, 8],
    ]);
    expect(offsets([], "")).toEqual([]);
  });

  it("knows spaces put in front and after control tokens", () => {
    expect(offsets([" hi", "<a>", " hi"], "hi<a>hi")).toEqual([
      [0, 2],
      [2, 5],
      [5, 7],
    ]);
    expect(offsets(["<a>", " ", " hi"], "<a> hi")).toEqual([
      [0, 3],
      [3, 3],
      [3, 6],
    ]);
    expect(offsets(["  ", "hi"], " hi")).toEqual([
      [0, 1],
      [1, 3],
    ]);
  });

  it("knows white space that was left out", () => {
    expect(offsets(["<a>", "hi", "<b>"], "<a>\n\nhi <b>\n")).toEqual([
      [0, 3],
      [5, 7],
      [8, 11],
    ]);
  });

  it("places nothing where anything but white space differs", () => {
    expect(offsets(["hi"], "ho")).toBeNull();
    expect(offsets(["hi"], "hihi")).toBeNull();
    expect(offsets(["hi", "hi"], "hi")).toBeNull();
    expect(offsets(["hi"], "")).toBeNull();
  });

  it("places every token of random texts as it was cut, with and without spaces put in", () => {
    const next = mulberry32(9);
    const alphabet = ["hi", " ", "é", "<a>", "\n", "x"];
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: next() % 12 }, () => alphabet[next() % alphabet.length]!).join("");
      const tokens = spm.tokenize(text, { parseSpecial: true });
      const bytes = Buffer.from(text);
      const found = alignTokens(tokens, bytes, new TokenTable(spm));
      expect(found).not.toBeNull();
      for (const [index, token] of tokens.entries()) {
        const spelled = bytes.toString("latin1", found!.starts[index], found!.ends[index]);
        const own = Buffer.from(spm.tokenBytes(token)).toString("latin1");
        expect([own, own.replace(/^ /, "")]).toContain(spelled);
      }
    }
  });
});

describe("strftime", () => {
  const date = parseDate("2024-07-06")!;
  it("is English and UTC everywhere", () => {
    expect(strftime(date, "%a %A %b %B %d %-d %m %-m %y %Y %j %H:%M:%S %I%p %%")).toBe(
      "Sat Saturday Jul July 06 6 07 7 24 2024 188 00:00:00 12AM %",
    );
  });
  it("refuses what it does not know", () => {
    for (const format of ["%Q", "%", "%-B", "%c"]) expect(() => strftime(date, format)).toThrow("not supported");
    for (const text of ["2024-13-01", "2023-02-29", "24-01-01", "today", ""]) expect(parseDate(text)).toBeNull();
  });
});

describe("printable text", () => {
  it("escapes what a terminal would obey or hide", () => {
    expect(escapeControls("a\n\t\u001b[2J\u202e\u200b\u2028\ud800é😀")).toBe(
      "a\\n\\t\\x1b[2J\\u{202e}\\u{200b}\\u{2028}\\u{d800}é😀",
    );
    expect(escapeControls("a\n\r", "\n")).toBe("a\n\\r");
    expect(excerpt("😀".repeat(100), 3)).toBe("😀😀😀...");
    expect(escapeBytes(Buffer.from("\\n\n"))).toBe("\\\\n\\n");
    expect(escapeBytes(Uint8Array.of(0x20, 0xf0, 0x9f))).toBe(" \\xf0\\x9f");
  });
  it("lists lines", () => {
    expect(places({ path: "f", unit: "line" }, [3])).toBe("f, line 3");
    expect(places({ path: null, unit: "row" }, [1, 2, 3, 4, 5, 6, 7])).toBe("rows 1, 2, 3, 4, 5 and 2 more");
  });
});
