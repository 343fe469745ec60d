import { describe, expect, test } from "vitest";
import { byteSize, count, duration, percent, plural, signedNats, unsignedZero } from "../../src/report/numbers.js";
import { clipped, displayWidth, padded, printable, styleOf, tinted, wrapped } from "../../src/report/text.js";

const unicode = styleOf({ width: 80 });
const ascii = styleOf({ width: 80, unicode: false });

describe("displayWidth", () => {
  test.each([
    ["", 0],
    ["abc", 3],
    ["\u00e9", 1],
    ["e\u0301", 1],
    ["\u6f22\u5b57", 4],
    ["\uff21", 2],
    ["\ud55c", 2],
    ["\u{1f600}", 2],
    ["\u{20000}", 2],
    // Drawing characters of the report itself take one column.
    ["\u25ba\u25cf\u2502\u2508\u2524\u2514\u2500\u00b1\u2026", 9],
  ])("%j takes %i columns", (text, columns) => {
    expect(displayWidth(text)).toBe(columns);
  });
});

describe("printable", () => {
  test.each([
    ["plain text, \u00e9\u6f22\u{1f600}", "plain text, \u00e9\u6f22\u{1f600}"],
    ["\u001b[2J", "\\x1b[2J"],
    ["a\r\n\tb", "a\\x0d\\x0a\\x09b"],
    ["\u009b31m", "\\x9b31m"],
    ["\u202egpj", "\\u202egpj"],
    ["\ud83d", "\\ud83d"],
    ["\udc00\ud83d", "\\udc00\\ud83d"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\u00ad\ufeff", "\\xad\\ufeff"],
  ])("%j becomes %j", (text, expected) => {
    expect(printable(text)).toBe(expected);
    expect(printable(printable(text))).toBe(expected);
  });

  test("every code unit alone comes out printable", () => {
    const left = Array.from({ length: 0x10000 }, (_, code) => printable(String.fromCharCode(code))).filter((text) =>
      /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text),
    );
    expect(left).toEqual([]);
  });
});

describe("clipped and padded", () => {
  test("what fits is left as it is", () => {
    expect(clipped("abc", 3, unicode)).toBe("abc");
    expect(clipped("\u6f22\u5b57", 4, unicode)).toBe("\u6f22\u5b57");
  });

  test("what does not ends in a mark", () => {
    expect(clipped("abcdef", 4, unicode)).toBe("abc\u2026");
    expect(clipped("abcdef", 4, ascii)).toBe("abc~");
    expect(clipped("abcdef", 1, unicode)).toBe("\u2026");
    expect(clipped("abcdef", 0, unicode)).toBe("");
  });

  test("never wider than asked for, and never half a character", () => {
    for (const text of [
      "\u6f22\u5b57\u6f22\u5b57",
      "a\u6f22b\u5b57",
      "\u{1f600}\u{1f600}\u{1f600}",
      "e\u0301e\u0301e\u0301",
    ]) {
      for (let columns = 0; columns <= 9; columns++) {
        const cut = clipped(text, columns, unicode);
        expect(displayWidth(cut)).toBeLessThanOrEqual(columns);
        expect(cut).not.toMatch(/\p{Cs}/u);
      }
    }
  });

  test("padding counts columns", () => {
    expect(padded("\u6f22", 4, "left")).toBe("\u6f22  ");
    expect(padded("\u6f22", 4, "right")).toBe("  \u6f22");
    expect(padded("toolong", 3, "right")).toBe("toolong");
  });
});

describe("wrapped", () => {
  const text =
    "The quick brown fox jumps over the lazy dog, and a-word-that-is-far-too-long-for-one-line follows \u6f22\u5b57\u6f22\u5b57.";

  test("keeps every character in order, within the width", () => {
    for (let width = 2; width <= 120; width++) {
      const lines = wrapped(text, width);
      for (const line of lines) {
        expect(displayWidth(line)).toBeLessThanOrEqual(width);
        expect(line).toBe(line.trim());
      }
      expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
    }
  });

  test("breaks at spaces where it can", () => {
    expect(wrapped("one two three", 7)).toEqual(["one two", "three"]);
    expect(wrapped("one two three", 13)).toEqual(["one two three"]);
    expect(wrapped("abcdefgh", 3)).toEqual(["abc", "def", "gh"]);
  });

  test("indent counts, nothing gives nothing, control characters are escaped first", () => {
    expect(wrapped("one two", 5, "  ")).toEqual(["  one", "  two"]);
    expect(wrapped("", 10)).toEqual([]);
    expect(wrapped("   ", 10)).toEqual([]);
    expect(wrapped("a\nb", 10)).toEqual(["a\\x0ab"]);
  });

  test("a width narrower than one wide character still ends", () => {
    expect(wrapped("\u6f22\u5b57", 1)).toEqual(["\u6f22", "\u5b57"]);
    expect(wrapped("ab", 1, "    ")).toEqual(["    a", "    b"]);
  });
});

test("tinted: only with colour, and closed", () => {
  expect(tinted("x", "red", unicode)).toBe("x");
  expect(tinted("x", "red", styleOf({ width: 80, color: true }))).toBe("\u001b[31mx\u001b[0m");
});

describe("numbers", () => {
  test("duration", () => {
    expect([0, 0.84, 9.94, 9.95, 12.3, 59.4, 59.6, 60, 185, 3599.4, 3599.6, 7800].map(duration)).toEqual([
      "0.0 s",
      "0.8 s",
      "9.9 s",
      "10 s",
      "12 s",
      "59 s",
      "1 min 00 s",
      "1 min 00 s",
      "3 min 05 s",
      "59 min 59 s",
      "1 h 00 min",
      "2 h 10 min",
    ]);
  });

  test("byteSize", () => {
    expect([0, 1023, 1024, 1536, 1024 ** 2 - 1, 9.8 * 1024 ** 2, 1024 ** 4, 5000 * 1024 ** 4].map(byteSize)).toEqual([
      "0 bytes",
      "1023 bytes",
      "1.0 KiB",
      "1.5 KiB",
      "1.0 MiB",
      "9.8 MiB",
      "1.0 TiB",
      "5000.0 TiB",
    ]);
  });

  test("nats keep their sign, percentages lose that of nothing", () => {
    expect([0.00891, -0.00891, 0, -1.5].map(signedNats)).toEqual(["+0.0089", "-0.0089", "+0.0000", "-1.5000"]);
    expect([0.992, 1, -0.05, -1e-17, -0.0004, 0].map(percent)).toEqual(["99.2", "100.0", "-5.0", "0.0", "0.0", "0.0"]);
    expect(["-0", "-0.00", "-0.01", "0"].map(unsignedZero)).toEqual(["0", "0.00", "-0.01", "0"]);
  });

  test("counts are grouped the same on every machine", () => {
    expect([0, 999, 1234567.4].map(count)).toEqual(["0", "999", "1,234,567"]);
    expect([plural(1, "sample"), plural(0, "sample"), plural(2000, "pass", "passes")]).toEqual([
      "1 sample",
      "0 samples",
      "2,000 passes",
    ]);
  });
});
