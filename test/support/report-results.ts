import type { CalibrationResult } from "../../src/result.js";
import { conclude, type ConcludeOptions } from "../../src/search/conclude.js";
import { displayWidth } from "../../src/report/text.js";
import { allLayers, curveTable, type Curve } from "./search-curves.js";
import { resultOf } from "./search-result.js";
import { withControls } from "./search-scorer.js";

type Changes = Parameters<typeof resultOf>[1];

function result(curve: Curve, options: Partial<ConcludeOptions> = {}, changes: Changes = {}, controls?: number) {
  const table = curveTable(curve);
  const scored = controls === undefined ? table : withControls(table, controls);
  return resultOf(conclude(scored, { coveredLayers: allLayers(curve.losses.length - 1), ...options }), changes);
}

export const WRITTEN = {
  path: "out/small.gguf",
  sha256: "",
  bytes: 5_200_000,
  parameters: 1_100_000,
  verified: true,
  maxLogitDifference: 0,
};

/** With a subset search on top: sizes 1 to 3 out of the adapter's layers, scored like the boundaries of those sizes. */
function withSubset(base: CalibrationResult): CalibrationResult {
  const layers = base.model.layers;
  const boundary = (kept: number) => base.candidates.find(({ id }) => id === `upto:${kept}`)!;
  const points = [1, 2, 3].map((size) => {
    const out = Array.from({ length: size }, (_, index) => ({ layer: 2 * index, part: null }));
    const { adaptedLayers, retention, verdict } = boundary(layers - size);
    const id = `without:${out.map(({ layer }) => layer).join(",")}*1.2`;
    const shown = { samples: 40, boosted: 0.99, unboosted: 0.9 - size / 10, random: [0.7, 0.5 - size / 10, -2] };
    return { id, unitsOut: size, adaptedLayers, boost: 1.2, out, retention, verdict, shown };
  });
  const candidates = points.map(({ id, out }, index) => ({
    ...boundary(layers - index - 1),
    id,
    family: "subset" as const,
    layerScales: Array.from({ length: layers }, (_, layer) => (out.some((it) => it.layer === layer) ? 0 : 1.2)),
  }));
  const boosted = { ...boundary(layers - 1), id: `upto:${layers - 1}*1.25`, family: "boundary+boost" as const };
  return {
    ...base,
    candidates: [...base.candidates, boosted, ...candidates],
    subset: { judgedBy: "cross-fit", perModule: false, units: layers, points },
  };
}

/** Every kind of answer that a calibration can give. */
export const results = {
  /** Economy, `upto:3` of 6 not worse, file written. */
  selected: result(
    { losses: [1, 0.6, 0.3, 0, 0, 0, 0], samples: 80, seed: 1, step: 0.005 },
    {},
    {
      output: WRITTEN,
      cost: { passes: 4.2, naivePasses: 7, seconds: 65, tokensComputed: 12_345, tokensShared: 6_789 },
    },
  ),
  /** Quality, `upto:3` better than the full adapter and every control. */
  better: result(
    { losses: [1, 0.6, 0.3, -0.2, 0.1, 0], samples: 80, seed: 2, step: 0.01 },
    { goal: "quality" },
    { output: { ...WRITTEN, verified: false } },
    0.1,
  ),
  /** A cut is better, and so is a plain scale. */
  explained: result(
    { losses: [1, 0.6, 0.3, -0.2, 0.1, 0], samples: 80, seed: 2, step: 0.01 },
    { goal: "quality" },
    {},
    -0.4,
  ),
  subset: withSubset(result({ losses: [1, 0.6, 0.3, 0.1, 0.02, 0.01, 0], samples: 80, seed: 1, step: 0.005 })),
  unproven: result({ losses: [1, 0.2, 0.01, 0], samples: 30, seed: 0, step: 0.05 }),
  worse: result({ losses: [1, 0.4, 0.3, 0.1, 0], samples: 100, seed: 2, step: 0.01 }),
  noGain: result({ losses: [1, 0.5, 0.2, 0], samples: 40, seed: 8, gain: -1, step: 0.01 }),
  tooFew: result({ losses: [1, 0.5, 0.2, 0], samples: 6, seed: 1, step: 0.01 }),
  /** Forced past a failed gate: `upto:1` is better than an adapter that harms. */
  forced: result(
    { losses: [1, 0.9, 0.8, 0], samples: 40, seed: 8, gain: -1, step: 0.01 },
    { force: true },
    { output: WRITTEN },
    0.1,
  ),
  forcedNothing: result({ losses: [0, 2, 2, 0], samples: 60, seed: 3, step: 0.05 }, { force: true }),
  /** One adapted layer: base and full only. */
  nothingToCut: result({ losses: [1, 0], samples: 30, seed: 1 }),
  /** 81 boundaries of an 80-layer model, with controls. */
  large: result(
    { losses: Array.from({ length: 81 }, (_, b) => ((80 - b) / 80) ** 3), samples: 60, seed: 5, step: 0.003 },
    {},
    { output: WRITTEN },
    0.05,
  ),
} satisfies Record<string, CalibrationResult>;

export const kinds = Object.entries<CalibrationResult>(results);

/** Text without the colours that the report itself adds; any other escape stays. */
export function withoutColor(text: string): string {
  return text.replaceAll(/\u001b\[(?:0|1|2|31|32|33)m/g, "");
}

/** The lines that are wider than allowed. */
export function tooWide(text: string, width: number): string[] {
  return withoutColor(text)
    .split("\n")
    .filter((line) => displayWidth(line) > width);
}
