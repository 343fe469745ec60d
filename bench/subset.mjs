import { parseArgs } from "node:util";
import { boundaryCandidates, calibrate, readSamples } from "../dist/index.js";
import { openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * Subset search with boost, judged on samples that neither ranked nor fitted (cross-fit), by layers and by halves of layers;
 * its cost beside an exhaustive boundary search.
 * Options: those of support/trio.mjs, --limit N samples, --seed N, --threads N, --per layer|module (default: both).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string" },
      seed: { type: "string", default: "0" },
      threads: { type: "string" },
      per: { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const model = await openModel(values);
  const set = await readSamples(values.samples, model, { ...(values.limit && { limit: Number(values.limit) }) });
  const wanted = values.per === undefined ? ["layer", "module"] : [values.per];
  const figures = { samples: set.samples.length };
  for (const per of wanted) {
    const adapter = await model.loadAdapter(values.adapter, { per });
    const units = adapter.units.length;
    const share = (part) => Math.round(units * part);
    // 12, 15 and 18 of 30 layers; 32 of 60 halves and what lies around it.
    const sizes = [0.1, 0.2, 0.3, 0.4, 0.5, 32 / 60, 0.6, 0.7, 0.8].map(share);
    const result = await calibrate(adapter, set, {
      families: ["subset"],
      strategy: "race",
      seed: Number(values.seed),
      subsetSizes: [...new Set(sizes)],
      ...(values.threads !== undefined && { threads: Number(values.threads) }),
    });
    const session = adapter.openSession(set.samples, {});
    const boundary = session.cost(boundaryCandidates(model.layers, adapter.file.layers)).passes;
    await session.dispose();
    const costRatio = result.cost.passes / boundary;
    const points = result.subset?.points ?? [];
    const at = (size) => points.find(({ unitsOut }) => unitsOut === size);
    const percent = (point) => (point?.retention == null ? null : 100 * point.retention.mean);
    const random = (point) =>
      point === undefined
        ? null
        : (100 * point.shown.random.reduce((sum, one) => sum + one, 0)) / point.shown.random.length;
    say(
      `${per}: ${units} units, ${result.cost.passes.toFixed(1)} passes, ${costRatio.toFixed(2)} times an exhaustive boundary search (at most 6), ${result.cost.seconds.toFixed(0)} s`,
    );
    for (const point of points) {
      const { low, high } = point.retention ?? { low: NaN, high: NaN };
      say(
        `  ${point.unitsOut} out, boost ${point.boost.toFixed(2)}: ${percent(point)?.toFixed(1)} % (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}), ${point.verdict}; random ${random(point)?.toFixed(1)} %`,
      );
    }
    if (per === "layer") {
      figures.retentionAt12 = percent(at(share(0.4)));
      figures.retentionAt15 = percent(at(share(0.5)));
      figures.retentionAt18 = percent(at(share(0.6)));
      figures.randomAt15 = random(at(share(0.5)));
      figures.costRatio = costRatio;
    } else {
      const enough = points.filter((point) => percent(point) >= 98);
      figures.unitsOutAt98 = Math.max(0, ...enough.map(({ unitsOut }) => unitsOut));
      figures.costRatioPerModule = costRatio;
    }
  }
  await model.dispose();
  return figures;
}
