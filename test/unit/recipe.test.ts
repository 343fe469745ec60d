import { describe, expect, it } from "vitest";
import { judgeScores } from "../../src/recipe/judge-scores.js";
import type { RecipeScores } from "../../src/recipe/recipe.js";
import { pathInRecipe, pathOfRecipe } from "../../src/recipe/recipe-paths.js";
import { junitXml } from "../../src/report/junit.js";
import type { VerificationResult } from "../../src/recipe/verification.js";
import { seededRandom } from "../../src/search/resample.js";

const SAMPLES = 40;
const JUDGING = { objective: "nll", margin: 0.02, confidence: 0.95, seed: 0, tokenWeighted: false } as const;
const groups = Array.from({ length: SAMPLES }, (_, sample) => String(sample));
const tokens = new Int32Array(SAMPLES).fill(10);

/** Base 2 above full; the cut `loss` above full, with noise that is the same for all three where `shared`. */
function scores(loss: number, noise: number, seed = 1): RecipeScores {
  const random = seededRandom(seed);
  const draw = () => (random.nextUint32() / 2 ** 32 - 0.5) * noise;
  const full = groups.map(() => 1 + draw());
  return { full, base: full.map((it) => it + 2 + draw()), cut: full.map((it) => it + loss + draw()) };
}

describe("judging recorded and new scores", () => {
  const judge = (recorded: RecipeScores, now: RecipeScores) => judgeScores(recorded, now, groups, tokens, JUDGING);

  it("the same scores pass within the margin, with a difference of exactly 0 from the recorded cut", () => {
    const it = scores(0.02, 0.01);
    const { gain, full, recorded } = judge(it, it);
    expect(gain.passed).toBe(true);
    expect(full).toMatchObject({ passed: true, verdict: "not-worse" });
    expect(full.allowed).toBeCloseTo(0.04, 2);
    expect(recorded).toMatchObject({ passed: true, gain: { mean: 0, low: 0, high: 0 } });
  });

  it("a loss above the margin is worse than both, one below it that noise hides is unproven", () => {
    const good = scores(0.02, 0.01);
    const { full, recorded } = judge(good, { ...good, cut: good.cut.map((it) => it + 0.1) });
    expect([full.verdict, recorded.verdict]).toEqual(["worse", "worse"]);
    expect(recorded.gain.mean).toBeCloseTo(-0.1, 12);
    const noisy = scores(0.02, 2, 3);
    expect(judge(noisy, noisy).full).toMatchObject({ passed: false, verdict: "unproven" });
  });

  it("an improved cut is better than the recorded one; an adapter that gains nothing fails its own check", () => {
    const good = scores(0.02, 0.01);
    const better = { ...good, cut: good.cut.map((it, sample) => it - 0.3 - sample / 1000) };
    expect(judge(good, better).recorded).toMatchObject({ passed: true, verdict: "better" });
    const useless = { ...good, base: good.full.map((it, sample) => it - 0.1 - sample / 1000) };
    expect(judge(good, useless).gain.passed).toBe(false);
  });
});

describe("paths", () => {
  it("are relative to the recipe and back; references to a hub stay", () => {
    expect(pathInRecipe("/a/b/recipe.json", "/a/models/x y.gguf")).toBe("../models/x y.gguf");
    expect(pathOfRecipe("/c/b/recipe.json", "../models/x y.gguf")).toBe("/c/models/x y.gguf");
    expect(pathInRecipe("/a/recipe.json", "hf:o/n/f.gguf")).toBe("hf:o/n/f.gguf");
    expect(pathOfRecipe("/a/recipe.json", "hf:o/n/f.gguf")).toBe("hf:o/n/f.gguf");
  });
});

describe("JUnit XML", () => {
  it("counts failures and escapes what a path may hold", () => {
    const it = scores(0.02, 0.01);
    const checks = judgeScores(it, { ...it, cut: it.cut.map((value) => value + 1) }, groups, tokens, JUDGING);
    const trim = { passed: true, bytes: 10, maxLogitDifference: 0, failure: null };
    const result = {
      ...{ recipe: { path: 'a"<b>&\u0007.json' }, createdAt: "2026-01-01T00:00:00Z", margin: 0.02 },
      ...{ adapter: { path: "x", isNew: true }, checks: { ...checks, trim } },
    } as unknown as VerificationResult;
    const xml = junitXml(result);
    expect(xml).toContain('<testsuites tests="4" failures="2">');
    expect(xml.match(/<failure message="the cut is worse than /g)).toHaveLength(2);
    expect(xml).toContain('classname="a&quot;&lt;b&gt;&amp;\ufffd.json"');
  });
});
