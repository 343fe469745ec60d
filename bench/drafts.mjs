import { parseArgs } from "node:util";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { answerPrompts } from "../dist/evaluation/answer-prompt.js";
import { firstDifference, Noise, scoredLead } from "./support/answers.mjs";
import { timed } from "./support/timing.mjs";
import { openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * Every boundary from the full adapter down writes answers, with drafts and without: decode steps, wall time, and whether
 * the texts are the same. Where they are not, the first differing token must be a tie within float noise: how far the lead
 * of the token over the other moved between the two runs must not exceed what it moved where both chose alike. Where that was
 * not recorded (one's choice was not the other's runner-up) or is more, the scorer measures the lead between the two tokens
 * behind the shared prefix: a lead within the same noise is a tie as well. Anything else counts as unexplained.
 * Options: those of support/trio.mjs, --limit N (samples, default 40), --every N (every N-th boundary only, default 1),
 * --sequences N (default 16), --max-tokens N (default 96), --threads N (default 2).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string", default: "40" },
      every: { type: "string", default: "1" },
      sequences: { type: "string", default: "16" },
      "max-tokens": { type: "string", default: "96" },
      threads: { type: "string", default: "2" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const prompts = answerPrompts(await readSamples(values.samples, model)).slice(0, Number(values.limit));
  const candidates = boundaryCandidates(model.layers, adapter.file.layers)
    .toReversed()
    .filter((_, index) => index % Number(values.every) === 0);
  const options = {
    sequences: Number(values.sequences),
    maxTokens: Number(values["max-tokens"]),
    stop: ["\n"],
    threads: Number(values.threads),
  };
  const plain = adapter.openGenerator(prompts, { ...options, drafts: false });
  const drafted = adapter.openGenerator(prompts, { ...options, drafts: true });

  // In turn, candidate by candidate, so that a change of the machine's load meets both.
  const noise = new Noise();
  const differences = [];
  const seconds = { plain: 0, drafted: 0 };
  for (const candidate of candidates) {
    const one = await timed(() => plain.generate([candidate]));
    const other = await timed(() => drafted.generate([candidate]));
    seconds.plain += one.seconds;
    seconds.drafted += other.seconds;
    for (const [sample, answer] of one.value[0].entries()) {
      const found = firstDifference(answer, other.value[0][sample], noise);
      if (found !== null) differences.push({ candidate, sample, ...found, answer });
    }
    say(
      `${candidate.id}: ${one.seconds.toFixed(1)} s plain, ${other.seconds.toFixed(1)} s with drafts; so far ${plain.facts.steps} and ${drafted.facts.steps} steps, ${differences.length} texts differ`,
    );
  }
  const ties = [];
  const unexplained = [];
  for (const { candidate, sample, position, tokens, moved, answer } of differences) {
    const prefix = [...prompts[sample], ...answer.tokens.slice(0, position)];
    const distance =
      moved <= noise.largest || tokens.includes(null)
        ? moved
        : Math.abs(await scoredLead(adapter, candidate, prefix, tokens, options));
    if (distance <= noise.largest) {
      ties.push(distance);
      continue;
    }
    unexplained.push(distance);
    say(`unexplained: ${JSON.stringify({ candidate: candidate.id, sample, position, tokens, moved, distance })}`);
  }
  const { draftsProposed, draftsAccepted, tokensWritten } = drafted.facts;
  const result = {
    stepsRatio: plain.facts.steps / drafted.facts.steps,
    timeRatio: seconds.plain / seconds.drafted,
    computedRatio: plain.facts.tokensComputed / drafted.facts.tokensComputed,
    unexplainedDifferences: unexplained.length,
    ties: ties.length,
    answers: candidates.length * prompts.length,
    largestNoise: noise.largest,
    largestTie: Math.max(0, ...ties),
    steps: { plain: plain.facts.steps, drafted: drafted.facts.steps },
    seconds,
    drafts: { proposed: draftsProposed, accepted: draftsAccepted },
    tokensWritten,
  };
  await model.dispose();
  say(
    `steps ratio ${result.stepsRatio.toFixed(2)} (must be at least 3), time ratio ${result.timeRatio.toFixed(2)} (must be at least 1.3), ` +
      `${result.ties} of ${result.answers} texts differ from a tie on (largest distance ${result.largestTie.toFixed(4)}, noise elsewhere up to ${noise.largest.toFixed(4)}), ${unexplained.length} unexplained (must be 0)`,
  );
  return result;
}
