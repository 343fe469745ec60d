import { describe, expect, test } from "vitest";
import { renderCalibration } from "../../src/report/terminal.js";
import type { CalibrationResult } from "../../src/result.js";
import { results, tooWide, withoutColor, WRITTEN } from "../support/report-results.js";

/** What no terminal may ever get from foreign text. */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const attacks = {
  "clear screen": "\u001b[2J\u001b[H",
  "title and link": "\u001b]0;pwned\u0007\u001b]8;;http://evil\u001b\\here\u001b]8;;\u001b\\",
  "a colour that the report uses": "\u001b[32mgreen\u001b[0m",
  "eight-bit CSI": "\u009b31mred",
  "forged line": "a\nWritten: fake.gguf\r\nVerified",
  "carriage return and backspaces": "real\rfake\b\b\b",
  "line and paragraph separators": "a\u2028b\u2029c\u0085d",
  "bidirectional override": "a\u202egnp.exe\u202c\u2066x\u2069",
  "bidirectional marks": "a\u200e\u200f\u061cb",
  "invisible characters": "a\u200b\u2060\ufeff\u00ad\u{e0041}b",
  "lone surrogates": "a\ud83dz\udc00b",
  "NUL and DEL": "a\u0000b\u007f",
} as const;

/** A result with a text in every place that comes from outside. */
function poisoned(text: string, from: CalibrationResult = results.selected): CalibrationResult {
  const rename = (id: string) => id + text;
  return {
    ...from,
    command: ["lora-boundary", text],
    model: { ...from.model, path: text, architecture: text, quantization: text },
    adapter: { ...from.adapter, path: text },
    data: { ...from.data, path: text, notices: [text, `again ${text}`] },
    candidates: from.candidates.map((candidate) => ({ ...candidate, id: rename(candidate.id) })),
    selected: from.selected && {
      ...from.selected,
      reason: text,
      candidate: { ...from.selected.candidate, id: rename(from.selected.candidate.id) },
    },
    noSelection: from.noSelection && { ...from.noSelection, sentence: `Nothing. ${text}` },
    pareto: from.pareto.map((point) => ({ ...point, id: rename(point.id) })),
    controls: {
      ...from.controls,
      bestGlobalScale: from.controls.bestGlobalScale && {
        ...from.controls.bestGlobalScale,
        id: rename(from.controls.bestGlobalScale.id),
      },
    },
    output: from.output && { ...from.output, path: text },
    engine: { ...from.engine, llamaCpp: text, backend: text },
  };
}

describe.each(Object.entries(attacks))("%s", (_, attack) => {
  test.each(["selected", "better", "unproven", "noGain", "forced"] as const)(
    "never reaches the output raw: %s",
    (name) => {
      const result = poisoned(attack, results[name]);
      for (const width of [20, 33, 80, 200]) {
        for (const shell of ["posix", "windows"] as const) {
          for (const unicode of [true, false]) {
            const text = renderCalibration(result, { width, shell, unicode });
            for (const line of text.split("\n")) expect(line).not.toMatch(FORBIDDEN);
            // Everything here is ASCII or escaped to ASCII.
            if (!unicode) expect(text).toMatch(/^[\n\x20-\x7e]*$/);
          }
        }
      }
    },
  );

  test("forges no line: as many as with a harmless text of the same escaped length", () => {
    // At this width nothing is wrapped, so each line is there for a reason.
    const lines = (text: string) => renderCalibration(poisoned(text), { width: 10_000 }).split("\n").length;
    expect(lines(attack)).toBe(lines("harmless"));
  });

  test("with colours, only those of the report", () => {
    const coloured = renderCalibration(poisoned(attack), { width: 80, color: true });
    const plain = renderCalibration(poisoned(attack), { width: 80 });
    expect(withoutColor(coloured)).toBe(plain);
  });
});

describe("foreign text that is only unusual", () => {
  const unusual = {
    emoji: "\u{1f600}\u{1f468}\u{1f3fd}\u{1f1e9}\u{1f1ea}",
    "East Asian": "\u30c6\u30b9\u30c8\u6f22\u5b57".repeat(12),
    combining: `e\u0301${"\u0300".repeat(40)}a`,
    "one endless word": "x".repeat(500),
    "many spaces": "a          b",
    "right to left letters": "\u05e9\u05dc\u05d5\u05dd",
  };

  test.each(Object.entries(unusual))("%s: shown as it is, and no line too wide", (_, text) => {
    const result = poisoned(text);
    for (let width = 20; width <= 200; width += 7) {
      for (const unicode of [true, false]) {
        const [above] = renderCalibration(result, { width, unicode }).split("\nIt loads with:");
        expect(tooWide(above!, width)).toEqual([]);
      }
    }
    expect(renderCalibration(result, { width: 2000 })).toContain(text);
  });

  test("an empty name, path and notice", () => {
    const { selected, output } = results.selected;
    const result: CalibrationResult = {
      ...results.selected,
      selected: { ...selected!, candidate: { ...selected!.candidate, id: "" } },
      candidates: results.selected.candidates.map((candidate) => ({ ...candidate, id: "" })),
      data: { ...results.selected.data, notices: ["", " "] },
      output: { ...output!, path: "" },
    };
    for (const width of [20, 80]) expect(tooWide(renderCalibration(result, { width }), width)).toEqual([]);
    expect(renderCalibration(result, { width: 80 })).toContain("--lora ''");
  });
});

test("notices are shown one by one, with what they are", () => {
  const notices = ["Sample 3 was cut at 512 tokens.", "The template has no system role."];
  const text = renderCalibration({ ...results.selected, data: { ...results.selected.data, notices } }, { width: 80 });
  expect(text).toContain(`Notice: ${notices[0]!}\nNotice: ${notices[1]!}`);
});

test("a Windows path keeps its backslashes, a quote in a forged one cannot end the argument", () => {
  const line = (path: string) =>
    renderCalibration({ ...results.selected, output: { ...WRITTEN, path } }, { width: 300, shell: "windows" })
      .split("\n")
      .find((it) => it.includes("llama-cli"))!;
  expect(line("C:\\my models\\small.gguf")).toContain('--lora "C:\\my models\\small.gguf"');
  expect(line('x" & calc & "')).toContain('--lora "x & calc & "');
  expect(line("x\u001b[2J\ny")).toContain('--lora "x\\x1b[2J\\x0ay"');
});
