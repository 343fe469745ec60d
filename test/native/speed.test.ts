import { describe, expect, test } from "vitest";
import { measureSpeed, parseLayerScales, UsageError } from "../../src/index.js";
import { loadTrio } from "../support/engine-trio.js";

describe("measuring what base, full adapter and cut cost", () => {
  test("every row at every number of sequences, padded where the rank is no multiple of 16, with the files' true sizes", async () => {
    await using it = await loadTrio(4);
    const cut = parseLayerScales("upto:6", { layers: 12 });
    const steps: number[] = [];
    const report = await measureSpeed(it.adapter, it.set, [cut], {
      ...{ sequences: [1, 3], promptTokens: 48, decodeTokens: 4, rounds: 2, threads: 1 },
      onProgress: ({ done, total }) => steps.push(done / total),
    });
    expect(report.rows.map(({ id, padRank }) => [id, padRank])).toEqual([
      ["base", null],
      ["full", null],
      ["full", 16],
      ["upto:6", null],
      ["upto:6", 16],
    ]);
    const [base, full, padded, half] = report.rows;
    expect(full!.fileBytes).toBe(it.adapter.file.bytes);
    expect(half!.weightBytes).toBe(full!.weightBytes / 2);
    expect(padded!.weightBytes).toBe(full!.weightBytes * 2);
    expect(base!.fileBytes).toBe(report.modelBytes);
    expect(base!.loadSeconds).toBe(it.model.loadSeconds);
    for (const { runs } of report.rows) {
      expect(runs.map(({ sequences, promptTokens }) => [sequences, promptTokens])).toEqual([
        [1, 48],
        [3, 16],
      ]);
      for (const {
        promptTokensPerSecond: { low, median, high },
        decodeTokensPerSecond,
      } of runs) {
        expect(low).toBeGreaterThan(0);
        expect(median).toBeCloseTo((low + high) / 2, 6);
        expect(decodeTokensPerSecond.low).toBeGreaterThan(0);
      }
    }
    expect(steps).toHaveLength(20);
    expect(steps.at(-1)).toBe(1);
  });

  test("a cut without any pair is refused, and cancelling ends it", async () => {
    await using it = await loadTrio(2);
    const nothing = parseLayerScales("base", { layers: 12 });
    await expect(measureSpeed(it.adapter, it.set, [nothing], { threads: 1 })).rejects.toBeInstanceOf(UsageError);
    const signal = AbortSignal.abort();
    await expect(measureSpeed(it.adapter, it.set, [], { threads: 1, signal })).rejects.toMatchObject({ exitCode: 130 });
  });
});
