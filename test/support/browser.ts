import { existsSync } from "node:fs";
import { chromium, type Browser, type Page } from "playwright-core";

const PLACES = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Path of an installed Chromium; undefined where there is none: `CHROMIUM_PATH` names another one. */
export const CHROMIUM = PLACES.find((path) => path !== undefined && existsSync(path));

export function launch(): Promise<Browser> {
  // Containers mostly lack what Chromium's sandbox needs; the pages are our own.
  return chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
}

export interface Opened {
  readonly page: Page;
  /** What the console and the page reported as wrong. */
  readonly complaints: readonly string[];
  /** Requests other than the page itself. */
  readonly requests: readonly string[];
}

export async function openPage(
  browser: Browser,
  path: string,
  options: { readonly width: number; readonly colorScheme?: "light" | "dark" },
): Promise<Opened> {
  const page = await browser.newPage({
    viewport: { width: options.width, height: 900 },
    colorScheme: options.colorScheme ?? "light",
  });
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() !== "log") complaints.push(message.text());
  });
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(`file://${path}`);
  return { page, complaints, requests: requests.slice(1) };
}
