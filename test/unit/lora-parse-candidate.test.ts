import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.js";
import { parseCandidate, parseCandidates } from "../../src/lora/parse-candidate.js";

describe("names of candidates", () => {
  test.each([
    ["base", [0, 0, 0, 0], 0, 0],
    ["full", [1, 1, 1, 1], 1, 1],
    ["upto:0", [0, 0, 0, 0], 0, 0],
    ["upto:3", [1, 1, 1, 0], 1, 0],
    ["from:1", [0, 1, 1, 1], 0, 1],
    ["scale:-0.5", [-0.5, -0.5, -0.5, -0.5], -0.5, -0.5],
    ["without:1,3*1.25", [1.25, 0, 1.25, 0], 1.25, 0],
    [" without:0 ", [0, 1, 1, 1], 0, 1],
  ])("%s", (name, layerScales, inputScale, outputScale) => {
    expect(parseCandidate(name, 4)).toEqual({ id: name.trim(), layerScales, inputScale, outputScale });
  });

  test("several: a comma before a digit belongs to the list of without", () => {
    const names = parseCandidates("base, without:1,2*0.5,upto:3", 4).map(({ id }) => id);
    expect(names).toEqual(["base", "without:1,2*0.5", "upto:3"]);
  });

  test.each(["", "upto:5", "from:9", "without:4", "scale:x", "upto:-1", "upto", "without:1,,2", "full*2"])(
    "refused: `%s`",
    (name) => {
      expect(() => parseCandidate(name, 4)).toThrow(UsageError);
    },
  );
});
