import { describe, expect, test } from "vitest";
import { BoostCurve } from "../../src/search/boost-curve.js";
import { boostsToTry, fittedBoost } from "../../src/search/boost.js";
import { seededRandom } from "../../src/search/resample.js";

type Three = [number, number, number];

const truth = (share: number) => Math.exp(0.6 * share + 0.5 * share * share);

/** Mean scores around the best strength at `share`; the noise is a slope, as that of the same samples at three strengths is. */
function meansAt(share: number, boosts: readonly number[], slope = 0): Three {
  return boosts.map((boost) => {
    const away = Math.log(boost) - Math.log(truth(share));
    return 1.5 + 0.2 * away * away + slope * away;
  }) as Three;
}

describe("strengths over the share that is out", () => {
  test("one round stands alone", () => {
    const boosts = boostsToTry(1.1);
    const curve = new BoostCurve();
    curve.add(0.2, boosts, meansAt(0.2, boosts));
    expect(curve.at(0.2)).toBe(fittedBoost(boosts, meansAt(0.2, boosts)));
  });

  test("a true curve is found again, at every round", () => {
    const curve = new BoostCurve();
    const shares = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    for (const share of shares) {
      const boosts = boostsToTry(truth(share) / 1.1);
      curve.add(share, boosts, meansAt(share, boosts));
    }
    for (const share of shares) expect(curve.at(share)).toBeCloseTo(truth(share), 2);
  });

  test("noise that throws single rounds off by ten per cent and more nearly vanishes in all together", () => {
    const random = seededRandom(7, 1);
    const off = { alone: 0, together: 0 };
    const shares = Array.from({ length: 12 }, (_, round) => 0.06 * (round + 1));
    for (let world = 0; world < 50; world++) {
      const curve = new BoostCurve();
      for (const share of shares) {
        const boosts = boostsToTry(truth(share) / 1.1);
        const means = meansAt(share, boosts, 0.1 * (random.nextUint32() / 2 ** 32 - 0.5));
        curve.add(share, boosts, means);
        off.alone += Math.abs(Math.log(fittedBoost(boosts, means) / truth(share)));
      }
      for (const share of shares) off.together += Math.abs(Math.log(curve.at(share) / truth(share)));
    }
    expect(off.alone / 600).toBeGreaterThan(0.05);
    expect(off.together).toBeLessThan(0.6 * off.alone);
  });

  test("scores that bend the wrong way leave each round to itself", () => {
    const curve = new BoostCurve();
    for (const share of [0.2, 0.4]) curve.add(share, boostsToTry(1), [1, 2, 1]);
    expect(curve.at(0.4)).toBe(fittedBoost(boostsToTry(1), [1, 2, 1]));
  });
});
