import { expect, test } from "vitest";
import { noLensSentence } from "../../src/analysis/lens.js";
import { lensShare, type LensWork } from "../../src/analysis/lens-cost.js";
import type { TensorDescriptor } from "../../src/gguf/gguf-file.js";

/** 20 layers of 1,000 weights each, so 20,000 in a pass. */
function work(tensors: Readonly<Record<string, number>>, scoredTokens = 50): LensWork {
  const names = {
    ...Object.fromEntries(Array.from({ length: 20 }, (_, layer) => [`blk.${layer}.w`, 1000])),
    ...tensors,
  };
  const entries = Object.entries(names).map(
    ([name, elements]) => [name, { name, elements } as TensorDescriptor] as const,
  );
  return { layers: 20, tensors: new Map(entries), tokens: 100, scoredTokens };
}

test("a small head: all samples", () => {
  expect(lensShare(work({ "output.weight": 100 }))).toBe(1);
});

test("a head as large as all layers, half of the tokens scored: by hand", () => {
  // A head costs half a pass: search 11 + 21 / 2 = 21.5 passes, lens 2 + 40 / 2 = 22.
  expect(lensShare(work({ "output.weight": 20_000 }))).toBeCloseTo(21.5 / 2 / 22, 12);
  // Tied to the embedding.
  expect(lensShare(work({ "token_embd.weight": 20_000 }))).toBeCloseTo(21.5 / 2 / 22, 12);
  expect(lensShare(work({ "output.weight": 20_000, "token_embd.weight": 7 }))).toBeCloseTo(21.5 / 2 / 22, 12);
  // With few scored tokens heads cost little.
  expect(lensShare(work({ "output.weight": 20_000 }, 1))).toBe(1);
});

test("however large the head, as many heads as half a search has", () => {
  expect(lensShare(work({ "output.weight": 1e12 }))).toBeCloseTo(21 / 2 / 40, 6);
});

test("where there is no lens, the sentence tells which of the two reasons it is", () => {
  const sentence = (isRecurrent: boolean, isHybrid: boolean) =>
    noLensSentence({ facts: { isRecurrent, isHybrid }, file: { architecture: "talkie" } });
  expect(sentence(false, false)).toMatch(/^There is no lens for this model \(talkie\): more than one tensor crosses /);
  expect(sentence(true, false)).toMatch(/: it has recurrent layers, which may take/);
  expect(sentence(false, true)).toBe(sentence(true, false));
});
