import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { recordedBoundaries, SCORES } from "./support/recorded-scores.mjs";
import { mean, SHAPES } from "./support/worlds.mjs";

const STRATEGIES = ["exhaustive", "race"];

/**
 * What the strategies cost and how often they err, in worlds with a known truth and the recorded noise of the real adapter.
 * Options: --repetitions N of each question (default 500), --draws N of the bootstrap, --workers N
 * (default: processors), --only NAME (choice, noEffect, subsetNoEffect, beyondMargin, coverage).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      repetitions: { type: "string", default: "500" },
      draws: { type: "string" },
      workers: { type: "string", default: String(cpus().length) },
      only: { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  if (recordedBoundaries() === null) {
    say(`skipped: ${SCORES} is absent`);
    return { skipped: true };
  }
  const repetitions = Number(values.repetitions);
  const kinds = [
    ...Object.keys(SHAPES).map((shape) => ({ kind: "choice", shape })),
    ...STRATEGIES.map((shape) => ({ kind: "noEffect", shape })),
    { kind: "subsetNoEffect", shape: "subset" },
    ...STRATEGIES.map((shape) => ({ kind: "beyondMargin", shape })),
    ...Object.keys(SHAPES).map((shape) => ({ kind: "coverage", shape })),
  ].filter(({ kind }) => values.only === undefined || kind === values.only);
  const jobs = kinds.flatMap((one, index) =>
    Array.from({ length: repetitions }, (_, repetition) => ({ ...one, seed: 1 + repetition + 100_000 * index })),
  );
  const results = await work(jobs, Number(values.workers), values.draws && Number(values.draws));
  const of = (kind, shape) =>
    results.filter((one) => one.kind === kind && (shape === undefined || one.shape === shape));
  const rate = (list, field) => (list.length === 0 ? null : mean(list.map((one) => Number(one[field]))));

  const fromHundred = of("choice").filter(({ samples }) => samples >= 100);
  for (const shape of Object.keys(SHAPES)) {
    const mine = of("choice", shape);
    if (mine.length === 0) continue;
    const cost = mean(mine.filter(({ samples }) => samples >= 100).map((one) => one.cost));
    say(
      `${shape}: cost ${cost.toFixed(3)} of L+1 passes from 100 samples on, same choice or one within a standard error ${rate(mine, "same").toFixed(3)}, identical ${rate(mine, "identical").toFixed(3)}`,
    );
  }
  const falseBetters = [
    ...STRATEGIES.map((strategy) => [strategy, rate(of("noEffect", strategy), "falseBetter")]),
    ["subset", rate(of("subsetNoEffect"), "falseBetter")],
  ].filter(([, share]) => share !== null);
  for (const [name, share] of falseBetters) say(`false better, ${name}: ${share.toFixed(3)} (at most 0.05)`);
  const falseNotWorses = STRATEGIES.map((strategy) => [
    strategy,
    rate(of("beyondMargin", strategy), "falseNotWorse"),
  ]).filter(([, share]) => share !== null);
  for (const [name, share] of falseNotWorses) say(`false not-worse, ${name}: ${share.toFixed(3)} (at most 0.05)`);
  const coverage = rate(
    of("coverage").filter(({ covered }) => covered !== null),
    "covered",
  );
  if (coverage !== null) say(`coverage of the cross-fitted gain's interval: ${coverage.toFixed(3)} (at least 0.93)`);
  return {
    cost: rate(fromHundred, "cost"),
    sameChoice: rate(of("choice"), "same"),
    identicalChoice: rate(of("choice"), "identical"),
    falseBetter: falseBetters.length === 0 ? null : Math.max(...falseBetters.map(([, share]) => share)),
    falseNotWorse: falseNotWorses.length === 0 ? null : Math.max(...falseNotWorses.map(([, share]) => share)),
    coverage,
    repetitions,
  };
}

async function work(jobs, workers, draws) {
  const shares = Array.from({ length: workers }, (_, worker) => jobs.filter((_, index) => index % workers === worker));
  const results = await Promise.all(
    shares.map(
      (share) =>
        new Promise((resolve, reject) => {
          const done = [];
          const worker = new Worker(new URL("support/statistics-worker.mjs", import.meta.url), {
            workerData: { jobs: share, draws },
          });
          worker.on("message", (result) => done.push(result));
          worker.on("error", reject);
          worker.on("exit", () => resolve(done));
        }),
    ),
  );
  return results.flat();
}
