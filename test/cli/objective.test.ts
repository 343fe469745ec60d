import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";

const folder = useFolder();
const FILES = [DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "12"];

describe("calibrate --objective kl", () => {
  it("measures likeness to the full adapter, says so first, and calls nothing better", async () => {
    const args = [...FILES, "--objective", "kl", "--in-sample", "--controls", "--margin", "0.1", "--json", "kl.json"];
    const { code, stdout } = await run(["calibrate", ...args], { cwd: folder.path });
    expect([0, 1]).toContain(code);
    const words = stdout.replaceAll(/\s+/g, " ");
    expect(words).toContain("It measures likeness to the full adapter, not quality");
    expect(words).toContain(
      "Likeness to the full adapter, not quality. In-sample: the adapter was trained on these samples.",
    );

    const result = JSON.parse(await readFile(join(folder.path, "kl.json"), "utf8")) as CalibrationResult;
    expect(result).toMatchObject({
      objective: "kl",
      objectiveScale: { higherIsBetter: false, unit: "nats per token" },
      inSample: true,
      gate: { passed: true },
      engine: { replay: "exact" },
    });
    const [base] = result.candidates;
    const full = result.candidates.find(({ id }) => id === "upto:12")!;
    expect(full.perSample).toEqual(new Array(12).fill(0));
    expect(result.candidates).toHaveLength(18);
    for (const { mean, verdict, retention } of result.candidates) {
      expect(mean).toBeGreaterThanOrEqual(0);
      expect(verdict).not.toBe("better");
      expect(retention!.mean).toBeCloseTo(1 - mean / base!.mean, 9);
    }
    // 1 for the full adapter to measure from, and what the plan foresees for the rest.
    expect(result.cost.passes).toBeGreaterThan(1 + 7.5 + 5);
  });

  it.each([
    [["--objective", "kl"], "nothing is more like the full adapter than itself"],
    [["--in-sample"], "nothing is called better"],
  ])("--goal quality with %j asks for what cannot be proven: exit 2", async (flags, reason) => {
    const { code, stdout, stderr } = await run(["calibrate", ...FILES, "--goal", "quality", ...flags]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(reason);
  });
});
