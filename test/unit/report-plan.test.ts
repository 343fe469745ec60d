import { describe, expect, test } from "vitest";
import { renderPlan, type PlanView } from "../../src/report/plan.js";
import { tooWide } from "../support/report-results.js";

const plan: PlanView = {
  samples: 150,
  independentSamples: 150,
  scoredTokens: 4_700,
  promptTokens: 5_000,
  candidates: 31,
  passes: 16.4,
  mayEndEarly: false,
  subsetPasses: 0,
  naivePasses: 31,
  controlPasses: 5,
  seconds: 185,
  memory: [
    { name: "kept states", bytes: 3 * 1024 ** 2 },
    { name: "context", bytes: 1024 ** 2 },
  ],
  smallestShare: 0.0115,
  smallestNats: 0.0131,
  margin: 0.02,
};
const lines = (changes: Partial<PlanView> = {}) => renderPlan({ ...plan, ...changes }, { width: 500 }).split("\n");

describe("renderPlan", () => {
  test("one fact per line", () => {
    expect(lines()).toEqual([
      "Samples: 150, 4,700 scored tokens, 5,000 prompt tokens.",
      "Work: 31 candidates in 16.4 passes instead of 31.0. 5.0 more only if a cut looks better than the full adapter (the control).",
      "Time: about 3 min 05 s.",
      "Memory beyond the model: 4.0 MiB (kept states 3.0 MiB, context 1.0 MiB).",
      "Smallest difference that can be shown: about 1.1 % of the adapter's gain, 0.0131 nats per token (80 % power, by the spread of a typical adapter); margin 2.0 %.",
    ]);
  });

  test("what travels to RPC servers, where there are any", () => {
    expect(lines({ rpcStateBytes: 5 * 1024 ** 2 })).toContain(
      "Network: at most 5.0 MiB of kept states to and from the servers.",
    );
  });

  test("groups, no controls, unknown time, no memory", () => {
    const [samples, work, time, memory] = lines({
      independentSamples: 12,
      controlPasses: 0,
      seconds: null,
      memory: [],
    });
    expect(samples).toContain("150 in 12 independent groups,");
    expect(work).toMatch(/instead of 31\.0\.$/);
    expect(time).toBe("Time: not known before the first batch.");
    expect(memory).toBe("Memory beyond the model: 0 bytes.");
  });

  test("it warns where the samples show less than the margin, or nothing", () => {
    expect(lines({ smallestShare: 0.05, smallestNats: null }).at(-1)).toMatch(
      /about 5\.0 % of the adapter's gain \(80 % .*\. That is more than the margin of 2\.0 %: a cut that loses nothing may stay unproven\.$/,
    );
    expect(lines({ smallestShare: null }).at(-1)).toContain("none, fewer than 8 independent samples prove nothing");
  });

  test("one of each, and no passes", () => {
    const [samples, work] = lines({ samples: 2, independentSamples: 1, scoredTokens: 1, candidates: 1, passes: 0 });
    expect(samples).toContain("2 in 1 independent group, 1 scored token,");
    expect(work).toContain("1 candidate in 0.0 passes. ");
  });

  test("no line wider than asked for; plain ASCII; names of memory cannot forge lines", () => {
    const hostile = { ...plan, memory: [{ name: "a\nb\u001b[2J\u202e", bytes: 1 }] };
    for (let width = 20; width <= 200; width++) {
      expect(tooWide(renderPlan(plan, { width }), width)).toEqual([]);
      expect(renderPlan(hostile, { width })).toMatch(/^[\n\x20-\x7e]*$/);
    }
    expect(renderPlan(hostile, { width: 500 }).split("\n")).toHaveLength(5);
  });
});
