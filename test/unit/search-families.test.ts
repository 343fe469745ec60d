import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.js";
import { boundaryCandidates, scaleCandidates } from "../../src/search/families.js";

describe("boundaryCandidates", () => {
  test("a fully covered adapter has L + 1 boundaries, ascending", () => {
    const candidates = boundaryCandidates(3, [0, 1, 2]);
    expect(candidates.map(({ id }) => id)).toEqual(["upto:0", "upto:1", "upto:2", "upto:3"]);
    expect(candidates.map(({ layerScales }) => layerScales)).toEqual([
      [0, 0, 0],
      [1, 0, 0],
      [1, 1, 0],
      [1, 1, 1],
    ]);
    expect(candidates.map(({ inputScale }) => inputScale)).toEqual([0, 1, 1, 1]);
    expect(candidates.map(({ outputScale }) => outputScale)).toEqual([0, 0, 0, 1]);
  });

  test("boundaries that differ only in layers without LoRA are one, by the smallest name; the full adapter is upto:L", () => {
    // Layers 2 and 4 of 6: boundaries 0-2 equal, 3-4 equal, 5-6 equal.
    expect(boundaryCandidates(6, [4, 2, 4]).map(({ id }) => id)).toEqual(["upto:0", "upto:3", "upto:6"]);
    expect(boundaryCandidates(6, [5]).map(({ id }) => id)).toEqual(["upto:0", "upto:6"]);
  });

  test("an adapter of global tensors only still has base and full", () => {
    const [base, full] = boundaryCandidates(4, []);
    expect([base?.id, full?.id]).toEqual(["upto:0", "upto:4"]);
    expect(full).toMatchObject({ inputScale: 1, outputScale: 1, layerScales: [1, 1, 1, 1] });
  });

  test.each([
    [0, []],
    [1.5, []],
    [NaN, []],
    [4, [4]],
    [4, [-1]],
    [4, [0.5]],
  ])("layers %s covered %s is refused", (layers, covered) => {
    expect(() => boundaryCandidates(layers, covered)).toThrow(UsageError);
  });
});

describe("scaleCandidates", () => {
  test("the five controls, global tensors included", () => {
    expect(scaleCandidates(2).map(({ id }) => id)).toEqual([
      "scale:0.5",
      "scale:0.75",
      "scale:0.9",
      "scale:1.1",
      "scale:1.25",
    ]);
    expect(scaleCandidates(2, [1.1])[0]).toEqual({
      id: "scale:1.1",
      family: "scale",
      layerScales: [1.1, 1.1],
      inputScale: 1.1,
      outputScale: 1.1,
    });
  });

  test.each([[[NaN]], [[Infinity]], [[0.5, 0.5]]])("%s is refused", (scales) => {
    expect(() => scaleCandidates(2, scales)).toThrow(UsageError);
  });
});
