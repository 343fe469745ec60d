import { parseArgs } from "node:util";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { answerPrompts } from "../dist/evaluation/answer-prompt.js";
import { band, COMMON, DraftPool, LEADS } from "../dist/generation/draft-pool.js";
import { timed } from "./support/timing.mjs";
import { openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * What the rule for drafts goes by: how often the next boundary wrote the token that an earlier answer to the same prompt would
 * have proposed, by tokens in common before it and by its lead; and what a step of generation costs beside its rows, in rows.
 * Options: those of support/trio.mjs, --limit N (samples, default 40), --max-tokens N (default 96), --threads N (default 2).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string", default: "40" },
      "max-tokens": { type: "string", default: "96" },
      threads: { type: "string", default: "2" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const prompts = answerPrompts(await readSamples(values.samples, model)).slice(0, Number(values.limit));
  const candidates = boundaryCandidates(model.layers, adapter.file.layers).toReversed();
  const threads = Number(values.threads);
  const stepInRows = await costOfStep(adapter, prompts.slice(0, 16), candidates[0], threads);
  say(`a step costs as much as ${stepInRows.toFixed(1)} rows`);

  const generator = adapter.openGenerator(prompts, {
    ...{ maxTokens: Number(values["max-tokens"]), stop: ["\n"], threads },
  });
  const pools = prompts.map((prompt) => new DraftPool(prompt));
  const table = Array.from({ length: COMMON.length + 1 }, () =>
    Array.from({ length: LEADS.length + 1 }, () => ({ seen: 0, right: 0 })),
  );
  for (const [index, candidate] of candidates.entries()) {
    const [answers] = await generator.generate([candidate]);
    for (const [prompt, { tokens, margins }] of answers.entries()) {
      if (index > 0) count(table, pools[prompt], [...tokens]);
      pools[prompt].add({ tokens, leads: margins });
    }
    say(`${candidate.id} has written`);
  }
  await model.dispose();
  const chances = table.map((row) => row.map(({ seen, right }) => (seen === 0 ? null : right / seen)));
  say(`tokens in common, from 1 on; leads from 0, ${LEADS.join(", ")} nats on`);
  for (const [index, row] of chances.entries()) {
    const cells = row.map((chance, lead) => `${chance?.toFixed(3) ?? "-"} (${table[index][lead].seen})`);
    say(`${[1, ...COMMON][index]}: ${cells.join("  ")}`);
  }
  return { stepInRows, chances, seen: table.map((row) => row.map(({ seen }) => seen)) };
}

function count(table, pool, tokens) {
  for (let at = 1; at < tokens.length; at++) {
    const { tokens: next, leads, common } = pool.continuation(tokens.slice(0, at), []);
    if (next.length === 0) continue;
    const cell = table[band(COMMON, common)][band(LEADS, leads[0])];
    cell.seen += 1;
    if (next[0] === tokens[at]) cell.right += 1;
  }
}

/** The same rows in many steps and in few: what is longer is the steps'. */
async function costOfStep(adapter, prompts, candidate, threads) {
  const measure = async (sequences) => {
    const generator = adapter.openGenerator(prompts, { sequences, maxTokens: 32, threads, drafts: false });
    await generator.generate([candidate]);
    const { steps, tokensComputed } = generator.facts;
    const { seconds } = await timed(() => generator.generate([candidate]));
    return { steps: generator.facts.steps - steps, rows: generator.facts.tokensComputed - tokensComputed, seconds };
  };
  const few = await measure(prompts.length);
  const many = await measure(1);
  const step = (many.seconds - few.seconds) / (many.steps - few.steps);
  return step / ((few.seconds - few.steps * step) / few.rows);
}
