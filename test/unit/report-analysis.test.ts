import { describe, expect, it } from "vitest";
import { renderAnalysis } from "../../src/report/analysis.js";
import { layersCsv } from "../../src/report/csv.js";
import { violations } from "../support/json-schemas.js";
import { bareAnalysis as bare, halvesAnalysis as halves, wholeAnalysis as whole } from "../support/report-analyses.js";
import { tooWide } from "../support/report-results.js";

describe("an analysis", () => {
  it("without data is a guess and says so", () => {
    const text = renderAnalysis(bare, { width: 80 });
    expect(text).toMatch(/^layer +norm +attention +MLP\n +0 +1\.000 {2}\u2588 /);
    expect(text.replaceAll(/\s+/g, " ")).toContain("Norms are a guess");
    expect(text).not.toContain("left out costs");
    expect(text).toContain("A notice\\x1b[2J of a file");
  });

  it("with data has effects with bounds, the lens, its knee as a hint", () => {
    const text = renderAnalysis(whole, { width: 110 });
    expect(text).toMatch(/\n +0 .* -0\.3300 \u00b10\.1000 +\+0\.2000 \u00b10\.1000\n/);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "Proven to earn something where they are: 5, 6, 7, 8, 9, 10, 11. Proven to harm: 0, 1, 2.",
    );
    expect(text).toMatch(
      /layer +NLL, base +NLL, adapter +probability +rank\n +0 +12\.000 \u00b10\.010 .* %  100\.0 \u00b11\.0\n/,
    );
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      "From layer 10 on nine tenths of the adapter's fall are made: a hint",
    );
  });

  it("as CSV has a cell under every title, the lens with its standard errors", () => {
    const [titles, first, half] = layersCsv(whole)
      .split("\n")
      .map((row) => row.split(","));
    const of = (row: readonly string[], title: string) => row[titles!.indexOf(title)];
    expect([first!.length, half!.length]).toEqual([titles!.length, titles!.length]);
    expect(["lens_nll", "lens_nll_se", "lens_probability", "lens_probability_se"].map((it) => of(first!, it))).toEqual([
      ...["12", "0.01", "0", "0.01"],
    ]);
    // Of the geometric mean, not of its logarithm.
    expect([of(first!, "lens_rank"), of(first!, "lens_rank_se")]).toEqual(["100", "1"]);
    expect([of(half!, "part"), of(half!, "lens_rank_se")]).toEqual(["attention", ""]);
  });

  it("by module has a row per layer with both halves", () => {
    const text = renderAnalysis(halves, { width: 110 });
    expect(text).toMatch(/\nlayer +attention out +MLP out +attention alone +MLP alone\n/);
    expect(text).toMatch(/\n +3 +\+0\.0300 \u00b10\.1000 +-0\.0300 \u00b10\.1000 +\+0\.1000 \u00b10\.1000 /);
    expect(renderAnalysis(whole, { width: 110 })).not.toContain("attention out");
  });

  it("fits every width, in ASCII too", () => {
    for (const analysis of [bare, whole, halves]) {
      for (const width of [20, 33, 50, 80, 200]) {
        expect(tooWide(renderAnalysis(analysis, { width }), width)).toEqual([]);
        const ascii = renderAnalysis(analysis, { width, unicode: false });
        expect(tooWide(ascii, width)).toEqual([]);
        expect(ascii).toMatch(/^[\n\x20-\x7e]*$/);
        expect(ascii).not.toMatch(/NaN|undefined/);
      }
    }
  });

  it("keeps to its published schema", () => {
    expect(violations(bare)).toEqual([]);
    expect(violations(whole)).toEqual([]);
    expect(violations(halves)).toEqual([]);
  });
});
