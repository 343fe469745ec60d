import { describe, expect, it } from "vitest";
import type { SpeedReport, SpeedRow } from "../../src/evaluation/speed-report.js";
import { mergingSentence, renderSpeed } from "../../src/report/speed.js";

const spread = (median: number) => ({ median, low: median - 1, high: median + 1 });

function row(
  id: string,
  role: SpeedRow["role"],
  prompt: number,
  decode: number,
  padRank: number | null = null,
): SpeedRow {
  const speeds = { promptTokensPerSecond: spread(prompt), decodeTokensPerSecond: spread(decode) };
  const runs = [1, 8].map((sequences) => ({ sequences, promptTokens: 64, ...speeds }));
  return { id, role, padRank, fileBytes: 2048, weightBytes: 1024, loadSeconds: 0.0123, runs };
}

const report = (...rows: SpeedRow[]): SpeedReport => ({
  machine: { processor: "A\u001b[31mchip", backend: "CPU", threads: 1 },
  ...{ decodeTokens: 32, rounds: 3, modelBytes: 5 * 2 ** 20, rows },
});

describe("the view of costs", () => {
  it("shows every row with its speeds, sizes and load time, and promises nothing beyond this machine", () => {
    const text = renderSpeed(
      report(row("base", "base", 2000, 100), row("full", "full", 1000, 90), row("full", "full", 1800, 95, 16)),
      { width: 100 },
    );
    const [, head, base, full, padded] = text.split("\n");
    expect(head).toMatch(/prompt x1 +write x1 +prompt x8 +write x8 +file +load +weights/);
    expect(base).toMatch(/^base +2,000 +100\.0 +2,000 +100\.0 +2\.0 KiB +12 ms +1\.0 KiB$/);
    expect(full).toMatch(/^full +1,000 +90\.0/);
    expect(padded).toMatch(/^full, pad 16 +1,800 +95\.0/);
    expect(text).toContain("A\\x1b[31mchip");
    expect(text).toContain("Another machine, other prompts");
    for (const line of renderSpeed(report(row("base", "base", 2, 1)), { width: 40 }).split("\n")) {
      expect(line.length).toBeLessThanOrEqual(40);
    }
  });

  it("says what merging gains over the fastest adapter row, or that it gains nothing", () => {
    const faster = mergingSentence(
      report(row("base", "base", 2000, 100), row("full", "full", 1000, 90), row("upto:8", "cut", 1600, 99)),
    );
    expect(faster).toContain("prompts (1 sequence) by 25 %, prompts (8 sequences) by 25 %:");
    expect(faster).not.toContain("writing");
    expect(faster).toContain("a whole model file (5.0 MiB) per adapter");
    expect(mergingSentence(report(row("base", "base", 100, 100), row("full", "full", 99, 99)))).toMatch(
      /^Merging would gain nothing here: the base model is at most 3 % faster/,
    );
  });
});
