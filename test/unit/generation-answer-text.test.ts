import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerText } from "../../src/generation/answer-text.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const pieces = (stop: readonly string[], tokens: readonly Uint8Array[]) => {
  const answer = new AnswerText(stop);
  const shown = tokens.map((token) => answer.push(token));
  return { shown: [...shown, answer.end()], text: answer.text, stopped: answer.stopped };
};

describe("an answer as its tokens arrive", () => {
  test("a stop string across three tokens is never shown, nor what follows it", () => {
    const { shown, text, stopped } = pieces(["<end>"], [bytes("a <e"), bytes("n"), bytes("d> b"), bytes("c")]);
    expect({ shown, text, stopped }).toEqual({ shown: ["a ", "", "", "", ""], text: "a ", stopped: true });
  });

  test("what only looked like one is shown as soon as that is certain", () => {
    expect(pieces(["<end>"], [bytes("<e"), bytes("x<"), bytes("y")]).shown).toEqual(["", "<ex", "<y", ""]);
    expect(pieces(["<end>"], [bytes("<en")])).toEqual({ shown: ["", "<en"], text: "<en", stopped: false });
  });

  test("the earliest of several ends it", () => {
    expect(pieces(["cd", "b"], [bytes("abcd")]).text).toBe("a");
  });

  test("a character in two tokens comes with the second; half a character at the end is U+FFFD", () => {
    const [first, second] = [bytes("é").subarray(0, 1), bytes("é").subarray(1)];
    expect(pieces([], [bytes("x"), first, second]).shown).toEqual(["x", "", "é", ""]);
    expect(pieces([], [first])).toEqual({ shown: ["", "\ufffd"], text: "\ufffd", stopped: false });
  });

  test("however a text is cut into tokens, it ends before the same stop string, and its pieces join to it", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), maxLength: 30 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 3 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(letters, stops, fc.array(fc.nat(8)), (text, stop, sizes) => {
        const all = bytes(text);
        const tokens: Uint8Array[] = [];
        for (let at = 0, index = 0; at < all.length; index++) {
          const size = sizes[index] ?? 1;
          tokens.push(all.subarray(at, at + size));
          at += size;
        }
        const found = stop.map((one) => text.indexOf(one)).filter((at) => at >= 0);
        const expected = found.length === 0 ? text : text.slice(0, Math.min(...found));
        const got = pieces(stop, tokens);
        if (stop.length <= 1) expect(got.text).toBe(expected);
        expect(got.shown.join("")).toBe(got.text);
        expect(stop.some((one) => got.text.includes(one))).toBe(false);
      }),
    );
  });
});
