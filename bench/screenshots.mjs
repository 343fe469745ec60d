import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { escaped } from "../dist/report/page/markup.js";
import { renderCalibration } from "../dist/report/terminal.js";
import { readResult } from "../dist/results/read-result.js";

/**
 * The README's pictures of a result: docs/report.png and docs/terminal.png, drawn by Chromium.
 *
 * --result FILE   of `calibrate --json`; its samples' file is read for the texts, where it is still there
 * --chromium PATH default: CHROMIUM_PATH, else /usr/bin/chromium
 * --out FOLDER    default: docs
 */
export async function run({ args }) {
  const option = (name, otherwise) => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? otherwise : args[at + 1];
  };
  const path = option("result");
  if (path === undefined) throw new Error("Give a result to show: npm run bench -- screenshots --result result.json");
  const out = option("out", fileURLToPath(new URL("../docs/", import.meta.url)));
  const result = await readResult(path);
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-screenshots-"));
  const browser = await chromium.launch({
    executablePath: option("chromium", process.env.CHROMIUM_PATH ?? "/usr/bin/chromium"),
    args: ["--no-sandbox"],
  });
  try {
    const html = join(folder, "report.html");
    const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
    const started = performance.now();
    await promisify(execFile)(process.execPath, [main, "report", path, "-o", html]);
    const written = performance.now();
    const page = await browser.newPage({ viewport: { width: 960, height: 1580 }, deviceScaleFactor: 1.5 });
    const opening = performance.now();
    await page.goto(`file://${html}`);
    const opened = performance.now();
    await page.screenshot({ path: join(out, "report.png") });

    const terminal = await browser.newPage({ viewport: { width: 760, height: 400 } });
    await terminal.setContent(terminalPage(renderCalibration(result, { width: 80, color: true })));
    await terminal.locator("pre").screenshot({ path: join(out, "terminal.png") });
    const figures = {
      reportSeconds: (written - started) / 1000,
      openSeconds: (opened - opening) / 1000,
      candidates: result.candidates.length,
      samples: result.data.samples,
    };
    console.log(
      `report: written in ${figures.reportSeconds.toFixed(2)} s, opened in ${figures.openSeconds.toFixed(2)} s (${figures.candidates} candidates, ${figures.samples} samples)`,
    );
    return figures;
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const TINTS = { 1: "font-weight:bold", 2: "opacity:.6", 31: "color:#f0937f", 32: "color:#74c99b", 33: "color:#e2b866" };

/** The report's own colours, in the page of a terminal. */
function terminalPage(text) {
  const spans = text
    .split(/\u001b\[(\d+)m/)
    .map((part, index) => {
      if (index % 2 === 0) return escaped(part);
      return part === "0" ? "</span>" : `<span style="${TINTS[part]}">`;
    })
    .join("");
  return `<!doctype html><meta charset="utf-8"><pre style="margin:0;padding:20px 24px;width:max-content;background:#15171b;color:#e9e7e2;font:14px/1.35 'DejaVu Sans Mono',ui-monospace,Menlo,Consolas,monospace">${spans}</pre>`;
}
