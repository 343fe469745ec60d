import { execFile } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { chromium } from "playwright-core";
import { readAnyResult } from "../dist/results/read-any.js";
import { renderPage } from "../dist/report/page/result-page.js";
import { median, timed } from "./support/timing.mjs";
import { layersResult, wideResult } from "./support/wide-result.mjs";

/**
 * A page from a result's JSON: how long it takes to make and to open in headless Chromium, and its size. With an analysis of
 * the layers on it as well.
 *
 * --result FILE    of `calibrate --json` (default: a synthetic one of 80 layers and 1,000 samples)
 * --analysis FILE  of `analyze --json` of the same adapter (default with the synthetic result: a synthetic one)
 * --rounds N       default 3
 * --chromium PATH  default: CHROMIUM_PATH, else /usr/bin/chromium
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      result: { type: "string" },
      analysis: { type: "string" },
      rounds: { type: "string", default: "3" },
      chromium: { type: "string", default: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium" },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-report-"));
  const browser = await chromium.launch({ executablePath: values.chromium, args: ["--no-sandbox"] });
  try {
    const files = await filesToShow(values, folder);
    const html = join(folder, "page.html");
    const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
    const figures = { produce: [], command: [], open: [] };
    for (let round = 0; round < Number(values.rounds); round++) {
      figures.produce.push((await timed(() => produced(files))).seconds);
      const command = [main, "report", ...files, "-o", html, "--force"];
      figures.command.push((await timed(() => promisify(execFile)(process.execPath, command))).seconds);
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      figures.open.push((await timed(() => page.goto(`file://${html}`))).seconds);
      await page.close();
    }
    const result = await readAnyResult(files[0]);
    const found = {
      openSeconds: median(figures.open),
      produceSeconds: median(figures.produce),
      commandSeconds: median(figures.command),
      bytes: (await stat(html)).size,
      candidates: result.candidates.length,
      samples: result.data.samples,
    };
    if (!json) {
      console.log(
        `${found.candidates} candidates, ${found.samples} samples: page of ${found.bytes} bytes (at most 1,000,000), made in ${found.produceSeconds.toFixed(2)} s (at most 1; with the start of the program ${found.commandSeconds.toFixed(2)} s), open in ${found.openSeconds.toFixed(2)} s (at most 1)`,
      );
    }
    return found;
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** From the files to the page's text; the samples' texts, read from where they lie, are not in it. */
async function produced([path, other]) {
  const result = await readAnyResult(path);
  const analysis = other === undefined ? null : await readAnyResult(other);
  return renderPage(result, { analysis });
}

async function filesToShow({ result, analysis }, folder) {
  if (result !== undefined) return analysis === undefined ? [result] : [result, analysis];
  const files = [join(folder, "wide.json"), join(folder, "layers.json")];
  await writeFile(files[0], JSON.stringify(wideResult(80, 1000)));
  await writeFile(files[1], JSON.stringify(layersResult(80)));
  return files;
}
