import { spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Analysis } from "../../src/analysis/analysis.js";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, ended, MAIN, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";

const folder = useFolder();
const inFolder = (...args: string[]) => run(args, { cwd: folder.path });
const read = (name: string) => readFile(join(folder.path, name), "utf8");
let calibrated = "";

beforeAll(async () => {
  const files = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "16", "--margin", "0.1"];
  const { stdout } = await inFolder(
    "calibrate",
    ...files,
    "--json",
    "r.json",
    "--report",
    "direct.html",
    "-o",
    "s.gguf",
  );
  calibrated = stdout;
  // The same run again, as of a model in another quantisation.
  const result = JSON.parse(await read("r.json")) as CalibrationResult;
  await writeFile(
    join(folder.path, "q8.json"),
    JSON.stringify({ ...result, model: { ...result.model, quantization: "Q8_0" } }),
  );
});

describe("every JSON that the tool writes keeps to its published schema", () => {
  it.each([
    ["analyze without data", ["analyze", DEMO.adapter, "--json", "-"]],
    [
      "analyze with data",
      ["analyze", DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "4", "--json", "-"],
    ],
    ["inspect of an adapter", ["inspect", DEMO.adapter, "--json", "-"]],
    ["inspect of a model", ["inspect", DEMO.base, "--json", "-"]],
    ["inspect of two adapters", ["inspect", DEMO.adapter, "s.gguf", "--json", "-"]],
    ["inspect of an adapter and a model", ["inspect", DEMO.adapter, DEMO.base, "--json", "-"]],
    ["doctor with files", ["doctor", DEMO.base, DEMO.adapter, DEMO.samples, "--json", "-"]],
    ["doctor with problems", ["doctor", DEMO.base, DEMO.base, "none.jsonl", "--json", "-"]],
    ["doctor of the machine", ["doctor", "--json", "-"]],
    [
      "analyze by halves of layers",
      [
        ...["analyze", DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "2"],
        ...["--per", "module", "--json", "-"],
      ],
    ],
    [
      "calibrate --dry-run",
      [
        "calibrate",
        DEMO.base,
        DEMO.adapter,
        DEMO.samples,
        "--threads",
        "1",
        "--limit",
        "8",
        "--dry-run",
        "--json",
        "-",
      ],
    ],
    ["trim", ["trim", DEMO.adapter, "--keep", "0-3", "-o", "schema.gguf", "--json", "-"]],
    [
      "trim of halves, as PEFT too",
      [
        ...["trim", DEMO.adapter, "--keep", "0-3=1,attention:4=0.5,*=0", "-o", "halves.gguf", "--json", "-"],
        ...["--base", DEMO.base, "--peft", "halves"],
      ],
    ],
  ])("%s", async (_, args) => {
    const { stdout } = await inFolder(...args);
    expect(violations(JSON.parse(stdout) as object)).toEqual([]);
  });
  it("calibrate", async () => {
    const result = JSON.parse(await read("r.json")) as CalibrationResult;
    expect(result.output).not.toBeNull();
    expect(violations(result)).toEqual([]);
  });
});

describe("report", () => {
  it("shows what calibrate showed, and writes the page that --report writes", async () => {
    const { code, stdout, stderr } = await inFolder("report", "r.json", "-o", "again.html");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(calibrated);
    const page = await read("again.html");
    expect(page).toBe(await read("direct.html"));
    const first = JSON.parse((await readFile(DEMO.samples, "utf8")).split("\n", 1)[0]!) as { prompt: string };
    expect(Object.keys(first)).toContain("prompt");
    expect(page.match(/<p class="text"/g)?.length).toBeGreaterThan(4);
  });

  it("says where the samples have changed since, and shows no texts", async () => {
    const result = JSON.parse(await read("r.json")) as CalibrationResult;
    const data = { ...result.data, sha256: "0".repeat(64) };
    await writeFile(join(folder.path, "changed.json"), JSON.stringify({ ...result, data }));
    expect((await inFolder("report", "changed.json", "-o", "changed.html")).code).toBe(0);
    const page = await read("changed.html");
    expect(page).toContain("the samples have changed since they were scored");
    expect(page).not.toContain('<p class="text"');
  });

  it("writes charts and rows for papers", async () => {
    expect(await inFolder("report", "r.json", "--svg", "charts", "--csv", "c.csv")).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect((await readdir(join(folder.path, "charts"))).sort()).toEqual([
      "curve.svg",
      "layer-scales.svg",
      "near-the-margin.svg",
      "samples.svg",
    ]);
    expect((await read("c.csv")).trimEnd().split("\n")).toHaveLength(14);
  });

  it("compares several results: one table, one page", async () => {
    const { code, stdout } = await inFolder("report", "r.json", "q8.json", "-o", "both.html");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^result +cut +/);
    expect(stdout).toMatch(/The cut found on \S+ \(upto:\d+\) is proven right on Q8_0 too\./);
    expect(await read("both.html")).toContain("One cut for all: upto:");
  });

  it.skipIf(process.platform === "win32")("takes under a second of processor time", async () => {
    // Not of the clock: other tests run beside this one.
    const command = `TIMEFORMAT="%U %S"; time "${process.execPath}" "${MAIN}" report r.json -o timed.html > /dev/null`;
    const { stderr } = await ended(spawn("bash", ["-c", command], { cwd: folder.path }));
    const [user, system] = stderr.trim().split(" ").map(Number);
    expect(user! + system!).toBeLessThan(1);
  });

  it("a pipe that closes early is no failure", async () => {
    const command = `"${process.execPath}" "${MAIN}" report r.json | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await ended(spawn("bash", ["-c", command], { cwd: folder.path }));
    expect(stderr).toBe("");
    expect(stdout).toMatch(/\n0\n$/);
  });
});

describe("with an analysis", () => {
  beforeAll(async () => {
    const files = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "3"];
    await inFolder("analyze", ...files, "--json", "layers.json", "--report", "layers-direct.html");
  });

  it("alone: the page that analyze --report writes, its charts, a row per layer", async () => {
    const { code, stdout } = await inFolder(
      "report",
      "layers.json",
      "-o",
      "layers.html",
      "--csv",
      "l.csv",
      "--svg",
      "l",
    );
    expect(code).toBe(0);
    expect(stdout).toContain("left out costs");
    expect(await read("layers.html")).toBe(await read("layers-direct.html"));
    const names = ["alone.svg", "left-out.svg", "lens-nll.svg", "lens-probability.svg", "norms.svg"];
    expect((await readdir(join(folder.path, "l"))).sort()).toEqual(names);
    expect((await read("l.csv")).trimEnd().split("\n")).toHaveLength(1 + 3 * 12);
  });

  it("with the calibration of its adapter: one page of both", async () => {
    const { code, stdout } = await inFolder("report", "r.json", "layers.json", "-o", "whole.html");
    expect(code).toBe(0);
    expect(stdout.startsWith(calibrated.trimEnd())).toBe(true);
    expect(stdout).toContain("The lens:");
    const page = await read("whole.html");
    for (const part of ["The curve", "The lens", "What each layer does", "What each layer writes"]) {
      expect(page).toContain(`<h2>${part}</h2>`);
    }
  });

  it("of another adapter, or several: refused", async () => {
    const analysis = JSON.parse(await read("layers.json")) as Analysis;
    const other = { ...analysis, adapter: { ...analysis.adapter, fingerprint: "0" } };
    await writeFile(join(folder.path, "other.json"), JSON.stringify(other));
    const strange = await inFolder("report", "r.json", "other.json");
    expect(strange.code).toBe(3);
    expect(strange.stderr).toContain("which is another adapter");
    for (const files of [
      ["layers.json", "other.json"],
      ["r.json", "q8.json", "layers.json"],
    ]) {
      const { code, stderr } = await inFolder("report", ...files);
      expect(code).toBe(2);
      expect(stderr).toContain("one analysis alone or with one calibration");
    }
  });
});

it("samples of hostile text and of a line of a megabyte: calibrate's page shows them cut and harmless", async () => {
  const attack = `</p></script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u0007`;
  const rows = Array.from({ length: 12 }, (_, index) => ({ prompt: `${attack} ${index}`, completion: ` ${attack}` }));
  // More tokens than a context would be left out, so what makes the line long is a field that is not read.
  const long = { prompt: "short", completion: " right", note: "x".repeat(2 ** 20) };
  const lines = [...rows, long].map((row) => JSON.stringify(row));
  await writeFile(join(folder.path, "hostile.jsonl"), lines.join("\n"));
  const files = [DEMO.base, DEMO.adapter, "hostile.jsonl", "--threads", "1"];
  const { stderr } = await inFolder("calibrate", ...files, "--force", "--report", "hostile.html");
  const page = await read("hostile.html").catch(() => stderr);
  expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;\\u202e\\x07");
  expect(page).not.toMatch(/<img|<script>alert|[\u202e\u0007]/);
  expect(page.match(/<script>/g)).toHaveLength(1);
  expect(page.length).toBeLessThan(300_000);
});

describe("bad input: nothing is written", () => {
  it.each([
    ["no file", ["report"], 2, "missing required argument"],
    ["missing", ["report", "none.json", "-o", "x.html"], 3, "none.json: the result file cannot be read (ENOENT)"],
    ["a GGUF file", ["report", DEMO.adapter, "-o", "x.html"], 3, "is no JSON"],
    ["over the result", ["report", "r.json", "-o", "r.json", "--force"], 2, "results are read, never written"],
    ["over a result under another name", ["report", "r.json", "--csv", "./r.json.csv/../r.json"], 2, "never written"],
    ["the page twice", ["report", "r.json", "-o", "x", "--csv", "x"], 2, "Expected another file"],
    ["an existing page", ["report", "r.json", "-o", "direct.html"], 2, "write over it with --force"],
    ["no folder", ["report", "r.json", "-o", "no/x.html"], 5, "its folder does not exist"],
    ["a file as folder", ["report", "r.json", "--svg", "q8.json/x"], 5, "the folder cannot be made"],
    [
      "calibrate over an input",
      ["calibrate", DEMO.base, DEMO.adapter, DEMO.samples, "--report", DEMO.samples, "--force"],
      2,
      "never written over",
    ],
  ])("%s", async (_, args, exitCode, message) => {
    const { code, stderr } = await inFolder(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(exitCode);
    expect((await readdir(folder.path)).filter((name) => name.startsWith("x") || name.includes(".tmp"))).toEqual([]);
  });

  it("a file cut short, a version of later: which, and what to do", async () => {
    const whole = await read("r.json");
    await writeFile(join(folder.path, "cut.json"), whole.slice(0, 3000));
    await writeFile(join(folder.path, "later.json"), whole.replace("calibration@1", "calibration@9"));
    expect((await inFolder("report", "cut.json")).stderr).toContain(
      "cut.json: expected a result that `calibrate --json`",
    );
    expect((await inFolder("report", "r.json", "later.json")).stderr).toContain("later.json: expected `schema` to be");
  });
});
