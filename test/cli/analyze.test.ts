import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Analysis } from "../../src/analysis/analysis.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";

const folder = useFolder();
const analyze = (...args: string[]) => run(["analyze", ...args], { cwd: folder.path });

describe("analyze", () => {
  it("of an adapter alone: norms at once, marked as a guess", async () => {
    const { code, stdout, stderr } = await analyze(DEMO.adapter);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/^ +\d+ +\d+\.\d{3} +█+ /gm)).toHaveLength(12);
    expect(stdout).toContain("Norms are a guess");
  });

  it("with samples: effects and lens, in text and JSON", async () => {
    const args = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "6", "--json", "a.json"];
    const { code, stdout } = await analyze(...args);
    expect(code).toBe(0);
    expect(stdout).toContain("left out costs");
    expect(stdout).toContain("The lens:");
    const analysis = JSON.parse(await readFile(join(folder.path, "a.json"), "utf8")) as Analysis;
    expect(analysis.effects!.layers).toHaveLength(12);
    expect(analysis.lens!.full.at(-1)!.nll.mean).toBeLessThan(analysis.lens!.base.at(-1)!.nll.mean);
    const gain = analysis.lens!.base.at(-1)!.nll.mean - analysis.lens!.full.at(-1)!.nll.mean;
    expect(gain).toBeCloseTo(analysis.effects!.gain.mean, 10);
  });

  it.each([
    ["two files", [DEMO.base, DEMO.adapter], 2, "Expected the adapter alone, or base model, adapter and samples"],
    ["a model alone", [DEMO.base], 3, "received a model"],
    ["confidence", [DEMO.adapter, "--confidence", "1"], 2, "between 0 and 1 for `confidence` but received 1"],
    ["no file", [], 2, "missing required argument"],
  ])("%s", async (_, args, exitCode, message) => {
    const { code, stdout, stderr } = await analyze(...args);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
  });
});
