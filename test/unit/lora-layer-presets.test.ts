import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { parseLayerScales } from "../../src/lora/layer-grammar.js";
import { readLayerPresets } from "../../src/lora/layer-presets.js";
import { failure, useFolder } from "../support/data-files.js";

const folder = useFolder();
const presets = async (content: unknown) =>
  readLayerPresets(await folder.write("presets.json", typeof content === "string" ? content : JSON.stringify(content)));
const sound = { light: "without:2*1.5", "v1.half-2": "0-1=1,*=0.5", far: "upto:40", all_of_it: "full" };

describe("named layer strengths", () => {
  it("are what the text under the name says, times a strength", async () => {
    const options = { layers: 4, presets: await presets(sound) };
    expect(parseLayerScales("light", options)).toEqual(parseLayerScales("without:2*1.5", options));
    expect(parseLayerScales("light*2", options).layerScales).toEqual([3, 3, 0, 3]);
    expect(parseLayerScales("v1.half-2 * 0.5", options).layerScales).toEqual([0.5, 0.5, 0.25, 0.25]);
    expect(parseLayerScales("all_of_it", options).id).toBe("full");
  });

  it("that are unknown are refused with the names there are; a layer out of range with the preset", async () => {
    const options = { layers: 4, presets: await presets(sound) };
    const unknown = await failure(Promise.resolve().then(() => parseLayerScales("lihgt", options)));
    expect(unknown).toMatchObject({ code: "SCALES_NAME", details: { position: 1, text: "lihgt" } });
    expect(unknown.message).toContain("presets.json (light, v1.half-2, far, all_of_it)");
    const far = await failure(Promise.resolve().then(() => parseLayerScales("far", options)));
    expect(far).toMatchObject({ code: "SCALES_RANGE", details: { position: 6, text: "upto:40" } });
    expect(far.message).toMatch(/at character 6 of `upto:40` \(preset `far` of .*presets\.json\)\.$/);
  });

  it.each([
    ["{", "PRESETS_JSON", /cannot be read/],
    ["[]", "PRESETS_FORMAT", /an object of texts by name/],
    ["null", "PRESETS_FORMAT", /an object of texts by name/],
    [{ a: 1 }, "PRESETS_FORMAT", /preset `a` but received 1/],
    [{ a: [1, 0] }, "PRESETS_FORMAT", /received \[1,0\]/],
    [{ "0a": "full" }, "PRESETS_NAME", /preset `0a`/],
    [{ upto: "full" }, "PRESETS_NAME", /a word of the grammar itself/],
    [{ a: "wihtout:2" }, "PRESETS_TEXT", /received `:` at character 8 of `wihtout:2`/],
    [{ a: "full", b: "a" }, "PRESETS_TEXT", /`b` but received `a` at character 1; a preset cannot name another/],
    [{ a: "0-4=1,5=NaN" }, "PRESETS_TEXT", /received `NaN` at character 9 of `0-4=1,5=NaN` \(preset `a`\)/],
    [{ a: "" }, "PRESETS_TEXT", /received nothing/],
  ])("refuses %j", async (content, code, message) => {
    const error = await failure(presets(content));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, exitCode: 3 });
    expect(error.message).toMatch(message);
    expect(error.message).toContain("presets.json: ");
  });

  it("refuses a file that is not there", async () => {
    expect(await failure(readLayerPresets(`${folder.path}/nothing.json`))).toMatchObject({
      code: "PRESETS_UNREADABLE",
    });
  });
});
