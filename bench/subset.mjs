import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { boundaryCandidates, calibrate, plan } from "../dist/index.js";
import { openModel, someSamples, threadsOf, TRIO_OPTIONS } from "./support/trio.mjs";

/** 12, 15 and 18 of 30 layers; 32 of 60 halves and what lies around it. */
const SHARES_OUT = [0.1, 0.2, 0.3, 0.4, 0.5, 32 / 60, 0.6, 0.7, 0.8];

/**
 * Subset search with boost, judged on samples that neither ranked nor fitted (cross-fit), by layers and by halves of layers;
 * its cost beside an exhaustive boundary search, known before anything is scored (`plannedCostRatio`, --plan: only that).
 * Finished work is kept in a journal, so that the same command goes on after an interruption; when all is done it is removed.
 * Options: those of support/trio.mjs, --limit N samples, --seed N, --threads N, --batch-tokens N, --per layer|module (default:
 * both), --plan, --journal PREFIX (default: lora-boundary-bench-subset in the system's folder for temporary files).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string" },
      seed: { type: "string", default: "0" },
      threads: { type: "string" },
      "batch-tokens": { type: "string", default: "512" },
      per: { type: "string" },
      plan: { type: "boolean", default: false },
      journal: { type: "string", default: join(tmpdir(), "lora-boundary-bench-subset") },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const model = await openModel(values);
  const set = await someSamples(values, model);
  const figures = { samples: set.samples.length };
  const wanted = values.per === undefined ? ["layer", "module"] : [values.per];
  for (const per of wanted) {
    const adapter = await model.loadAdapter(values.adapter, { per });
    const searched = await searchOne(adapter, set, { values, per, say });
    Object.assign(figures, per === "layer" ? layerFigures(searched) : moduleFigures(searched));
  }
  await model.dispose();
  if (!values.plan) for (const per of wanted) await rm(journalOf(values, per), { force: true });
  return figures;
}

function journalOf({ journal }, per) {
  return `${journal}-${per}.journal`;
}

async function searchOne(adapter, set, { values, per, say }) {
  const { layers } = adapter.model;
  const units = adapter.units.length;
  const sizes = [...new Set(SHARES_OUT.map((share) => Math.round(units * share)))];
  const options = {
    families: ["subset"],
    strategy: "race",
    seed: Number(values.seed),
    batchTokens: Number(values["batch-tokens"]),
    ...threadsOf(values),
  };
  const session = adapter.openSession(set.samples, options);
  const boundary = session.cost(boundaryCandidates(layers, adapter.file.layers)).passes;
  await session.dispose();
  const { passes, seconds } = await plan(adapter, set, { ...options, measure: !values.plan });
  const plannedCostRatio = passes / boundary;
  const minutes = seconds === null ? "" : `, about ${Math.ceil(seconds / 60)} min where no journal is taken up`;
  say(
    `${per}: ${units} units, ${set.samples.length} samples, ${passes.toFixed(1)} passes planned, ${plannedCostRatio.toFixed(2)} times an exhaustive boundary search (at most 6)${minutes}`,
  );
  if (values.plan) return { units, points: [], plannedCostRatio, costRatio: null };

  const path = journalOf(values, per);
  say(`journal: ${path}`);
  const result = await calibrate(adapter, set, {
    ...options,
    subsetSizes: sizes,
    journal: { path, resume: true },
    onNotice: say,
    onProgress: progressOf(say),
  });
  const costRatio = result.cost.passes / boundary;
  say(
    `${per}: ${result.cost.passes.toFixed(1)} passes, ${costRatio.toFixed(2)} times an exhaustive boundary search, ${result.cost.seconds.toFixed(0)} s in this run; judged by ${result.subset?.judgedBy ?? "nothing"}`,
  );
  if (result.subset === null) say(`no subset search: ${result.noSelection?.sentence ?? "the gate failed"}`);
  const points = (result.subset?.points ?? []).map(tellPoint(say));
  return { units, points, plannedCostRatio, costRatio };
}

/** A line for every tenth of a stage; the stages before the search are short. */
function progressOf(say) {
  let told = "";
  return ({ stage, done, total, secondsLeft }) => {
    if (stage === "hash" || stage === "plan" || total === 0) return;
    const tenth = `${stage}, ${Math.floor((10 * done) / total) * 10} %`;
    if (tenth === told) return;
    told = tenth;
    const left = secondsLeft === null ? "" : `, ${Math.ceil(secondsLeft / 60)} min left`;
    say(`  ${tenth} of ${total.toFixed(1)} passes${left}`);
  };
}

/** In per cent: retention on samples that had no part in finding the subset, and of random subsets of its size. */
function tellPoint(say) {
  return ({ unitsOut, boost, retention, verdict, shown }) => {
    const randomMean = shown.random.reduce((sum, one) => sum + one, 0) / shown.random.length;
    const point = { unitsOut, percent: retention && 100 * retention.mean, random: 100 * randomMean };
    const bounds = retention && `${(100 * retention.low).toFixed(1)} to ${(100 * retention.high).toFixed(1)}`;
    say(
      `  ${unitsOut} out, boost ${boost.toFixed(2)}: ${point.percent?.toFixed(1)} % (${bounds}), ${verdict}; random ${point.random.toFixed(1)} %`,
    );
    return point;
  };
}

function layerFigures({ units, points, plannedCostRatio, costRatio }) {
  const at = (share) => points.find(({ unitsOut }) => unitsOut === Math.round(units * share));
  return {
    retentionAt12: at(0.4)?.percent ?? null,
    retentionAt15: at(0.5)?.percent ?? null,
    retentionAt18: at(0.6)?.percent ?? null,
    randomAt15: at(0.5)?.random ?? null,
    plannedCostRatio,
    costRatio,
  };
}

function moduleFigures({ points, plannedCostRatio, costRatio }) {
  const enough = points.filter(({ percent }) => percent !== null && percent >= 98);
  return {
    unitsOutAt98: points.length === 0 ? null : Math.max(0, ...enough.map(({ unitsOut }) => unitsOut)),
    plannedCostRatioPerModule: plannedCostRatio,
    costRatioPerModule: costRatio,
  };
}
