import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderAnalysisPage } from "../../src/report/page/analysis-page.js";
import { renderComparisonPage } from "../../src/report/page/comparison-page.js";
import { renderPage } from "../../src/report/page/result-page.js";
import type { CalibrationResult } from "../../src/result.js";
import { CHROMIUM, launch, openPage } from "../support/browser.js";
import { useFolder } from "../support/data-files.js";
import { bareAnalysis, halvesAnalysis } from "../support/report-analyses.js";
import { results } from "../support/report-results.js";

const folder = useFolder();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const HOSTILE = `</p></script><script>document.title="owned"</script><img src=x onerror="document.title='owned'">\u202e\u0007`;
const unbroken = "x".repeat(600);
const textsOf = ({ data }: CalibrationResult, text: string) =>
  new Map(data.lines.map((line) => [line, { prompt: text, completion: text }]));
const longPath = {
  ...results.better,
  model: { ...results.better.model, path: `${"folder/".repeat(40)}${"n".repeat(200)}.gguf` },
};
const q8 = { ...results.selected, model: { ...results.selected.model, quantization: "Q8_0" } };

const pages: Readonly<Record<string, string>> = {
  "a cut": renderPage(results.selected, { texts: textsOf(results.selected, HOSTILE) }),
  "families, long names and texts": renderPage(longPath, { texts: textsOf(longPath, unbroken), notices: [unbroken] }),
  "80 layers": renderPage(results.large),
  "a failed gate": renderPage(results.noGain),
  "one adapted layer": renderPage(results.nothingToCut),
  "subsets and layers": renderPage(results.subset, { analysis: halvesAnalysis }),
  "layers without data": renderAnalysisPage(bareAnalysis),
  "a comparison": renderComparisonPage([results.selected, q8, results.large]),
};

// Said by the reporter at the end of the run; to have it run, install Chromium or set CHROMIUM_PATH.
describe.skipIf(CHROMIUM === undefined)("in headless Chromium", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  }, 60_000);
  afterAll(() => browser.close());

  describe.each(Object.entries(pages))("%s", (name, content) => {
    const written = () => folder.write(`${name.replaceAll(" ", "-")}.html`, content);

    it.each([
      [360, "light"],
      [1280, "dark"],
      ...(name === "a cut"
        ? ([
            [360, "dark"],
            [1280, "light"],
          ] as const)
        : []),
    ] as const)(
      "%i px, %s: no complaint, no request, no overflow, axe finds nothing serious",
      async (width, colorScheme) => {
        const { page, complaints, requests } = await openPage(browser, await written(), { width, colorScheme });
        expect({ complaints, requests }).toEqual({ complaints: [], requests: [] });
        expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBe(width);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
        );
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
        expect(await page.title()).not.toBe("owned");
        await page.close();
      },
    );
  });

  it("shows values where it is pointed at, and opens the tables for print", async () => {
    const path = await folder.write("hover.html", pages["a cut"]!);
    const { page, complaints } = await openPage(browser, path, { width: 1280 });
    await page.locator(".wide .hit").nth(3).hover();
    expect(await page.locator("#tip").textContent()).toMatch(/^upto:3\n\d+\.\d % \(\d+\.\d to \d+\.\d\)\nnot-worse$/);
    // Opacity does not count for visibility, so the style itself is asked.
    expect(await page.locator("#tip").getAttribute("style")).toContain("opacity: 1");
    expect(await page.locator("details[open]").count()).toBe(0);
    await page.evaluate('dispatchEvent(new Event("beforeprint"))');
    expect(await page.locator("details[open]").count()).toBeGreaterThan(3);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("draws one of the two sizes of each chart", async () => {
    const path = await folder.write("sizes.html", pages["a cut"]!);
    for (const [width, shown, hidden] of [
      [1280, ".wide", ".narrow"],
      [360, ".narrow", ".wide"],
    ] as const) {
      const { page } = await openPage(browser, path, { width });
      expect(await page.locator(shown).first().isVisible()).toBe(true);
      expect(await page.locator(hidden).first().isVisible()).toBe(false);
      await page.close();
    }
  });

  it("opens in under a second", async () => {
    const path = await folder.write("large.html", pages["80 layers"]!);
    const { page } = await openPage(browser, path, { width: 1280 });
    const seconds: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const start = performance.now();
      await page.reload();
      seconds.push((performance.now() - start) / 1000);
    }
    expect(Math.min(...seconds)).toBeLessThan(1);
    await page.close();
  });
});
