import { describe, expect, it } from "vitest";
import type { Analysis } from "../../src/analysis/analysis.js";
import { isOfAdapter } from "../../src/results/is-of-adapter.js";
import { readAnalysis } from "../../src/results/read-analysis.js";
import { readAnyResult } from "../../src/results/read-any.js";
import { failure, useFolder } from "../support/data-files.js";
import { bareAnalysis, halvesAnalysis, wholeAnalysis } from "../support/report-analyses.js";
import { results } from "../support/report-results.js";

const folder = useFolder();
const written = (analysis: object) => folder.write("analysis.json", JSON.stringify(analysis));

describe("what analyze writes", () => {
  it.each([bareAnalysis, wholeAnalysis, halvesAnalysis])("is read back as it was", async (analysis) => {
    const path = await written(analysis);
    expect(await readAnalysis(path)).toEqual(analysis);
    expect(await readAnyResult(path)).toEqual(analysis);
  });

  it("unbounded intervals come back as infinite, and what earlier versions left out is there", async () => {
    const { adapter, effects, lens } = JSON.parse(JSON.stringify(wholeAnalysis)) as Record<string, object>;
    Reflect.deleteProperty(adapter!, "fingerprint");
    Reflect.deleteProperty(effects!, "modules");
    Reflect.deleteProperty(lens!, "samples");
    const gain = { mean: 1, low: null, high: null };
    const read = await readAnalysis(
      await written({ ...wholeAnalysis, adapter, lens, effects: { ...effects, gain, criticalValue: null } }),
    );
    expect(read.effects).toMatchObject({
      criticalValue: Infinity,
      gain: { low: -Infinity, high: Infinity },
      modules: null,
    });
    expect(read.lens!.samples).toBe(20);
    expect(read.adapter.fingerprint).toBe("");
  });
});

describe("files that it has not written", () => {
  const { lens, effects } = wholeAnalysis;
  it.each<[string, object, string, string]>([
    ["another layer", { norms: [{ ...wholeAnalysis.norms[0], layer: 99 }] }, "norms[0].layer", "received 99"],
    ["fewer layers", { lens: { ...lens, base: [] } }, "lens.base", "12 layers, as many as in lens.full"],
    ["other layers", { lens: { ...lens, base: [...lens!.base].reverse() } }, "lens.base[0].layer", "expected 0"],
    [
      "a part",
      { effects: { ...effects, modules: [{ layer: 0, part: "head" }] } },
      "effects.modules[0].leftOut",
      "a value",
    ],
    ["beyond the model", { model: { ...wholeAnalysis.model, layers: 5 } }, "lens.full[5].layer", "a layer below 5"],
  ])("%s", async (_, changes, field, message) => {
    const error = await failure(readAnalysis(await written({ ...wholeAnalysis, ...changes })));
    expect(error).toMatchObject({ code: "RESULT_FIELD", exitCode: 3, details: { field } });
    expect(error.message).toContain(message);
  });

  it("a calibration where an analysis is asked for, and something else where either is", async () => {
    const path = await written(results.selected);
    expect(await failure(readAnalysis(path))).toMatchObject({ code: "RESULT_SCHEMA" });
    expect(((await readAnyResult(path)) as Analysis).schema).toBe("lora-boundary/calibration@1");
    const error = await failure(readAnyResult(await written({ schema: "lora-boundary/trim@1" })));
    expect(error.message).toContain("give a file that `calibrate --json` or `analyze --json` has written");
  });
});

it("an analysis is of a calibration's adapter by its fingerprint, else by its shape", () => {
  const { selected } = results;
  const analysis = { ...bareAnalysis, adapter: { ...bareAnalysis.adapter, layers: selected.adapter.layers } };
  const named = (fingerprint: string) => ({ ...selected, adapter: { ...selected.adapter, fingerprint } });
  expect(isOfAdapter(analysis, named("f00d"))).toBe(true);
  expect(isOfAdapter(analysis, named("beef"))).toBe(false);
  expect(isOfAdapter(analysis, named(""))).toBe(true);
  expect(isOfAdapter(bareAnalysis, named(""))).toBe(false);
});
