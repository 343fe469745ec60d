import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { strengthsOf } from "../engine/candidate-strengths.js";
import type { SelfCheck } from "../engine/score-store.js";
import type { ScoreSession } from "../engine/score-session.js";
import type { ScoreObjective } from "../engine/session-types.js";
import { UsageError } from "../errors.js";
import type { Candidate, Family } from "../lora/candidate.js";
import { packageVersion } from "../package-version.js";
import type { Goal } from "../search/choose.js";
import { scaleCandidates } from "../search/families.js";
import { RACE_FROM_LAYERS } from "../search/race.js";
import { candidatesBeforehand, FAMILIES_BEFOREHAND } from "../search/search.js";
import { suggestedPasses } from "../search/suggest-subset.js";
import type { CalibrateOptions } from "./calibrate.js";
import { checkCalibrationOptions } from "./check-options.js";
import { identify } from "./file-identity.js";
import { machineInputs, recordRun, sampleInputs, type RunInputs, type RunRecord } from "./run-record.js";
import { judgedBy } from "./objective.js";
import { openJournal } from "./open-journal.js";
import { packingOf } from "./packing.js";
import { sessionScorer } from "./session-scorer.js";

/** One of `of` parts of a run; `index` counts from 1. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/** What the answer depends on beside the scores; as asked for, defaults left out. */
export interface RecordedJudging {
  readonly goal?: Goal | undefined;
  readonly margin?: number | undefined;
  readonly confidence?: number | undefined;
  readonly seed?: number | undefined;
  readonly tokenWeighted?: boolean | undefined;
  readonly inSample?: boolean | undefined;
  readonly force?: boolean | undefined;
}

/** The scores of a part of the samples, schema `lora-boundary/part@1`. Plain JSON; fields are added, never renamed. */
export interface CalibrationPart {
  readonly schema: "lora-boundary/part@1";
  readonly version: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly shard: Shard;
  /** What every score depends on; equal in all parts of a run. */
  readonly inputs: RunInputs;
  readonly objective: ScoreObjective;
  readonly families: readonly Family[];
  readonly judging: RecordedJudging;
  /** How the samples were read, where it is known: `ReadSamplesOptions`. */
  readonly reading: Readonly<Record<string, unknown>> | null;
  /** Of the whole run. */
  readonly record: RunRecord;
  /** Samples of each batch of the whole run, and its tokens as computed. */
  readonly packing: readonly { readonly samples: readonly number[]; readonly tokens: number }[];
  /** Indices of the batches that this part has scored. */
  readonly batches: readonly number[];
  readonly check: SelfCheck | null;
  /** Passes of a subset search on all samples, for suggesting one. */
  readonly subsetPasses: number;
  /** Seconds that a pass over all samples takes here. */
  readonly secondsPerPass: number;
  /** Distinct vectors of strengths, see `strengthsOf`. */
  readonly vectors: readonly (readonly number[])[];
  readonly candidates: readonly PartCandidate[];
  readonly seconds: number;
}

export interface PartCandidate extends Candidate {
  /** Index of its strengths in `vectors`. */
  readonly vector: number;
  /** Mean NLL per scored token, nats, of the samples of `batches`, in their order. */
  readonly scores: readonly number[];
}

export interface ScoreShardOptions extends CalibrateOptions {
  readonly reading?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Scores a part of the samples, for {@link mergeParts}. Parts are made of whole batches of the whole run's packing, dealt
 * out in turn, because what a sample scores depends in its last digits on what it is computed with. Only all samples
 * together can tell whether the controls are needed, so every part has them.
 *
 * @throws UsageError SHARD_RANGE, SHARD_STRATEGY, SHARD_FAMILIES, SHARD_BUDGET, SHARD_GUARD, SHARD_OBJECTIVE; as `calibrate`
 */
export async function scoreShard(
  adapter: Adapter,
  samples: SampleSet,
  shard: Shard,
  options: ScoreShardOptions = {},
): Promise<CalibrationPart> {
  const start = performance.now();
  checkCalibrationOptions(options);
  requireDivisible(adapter.model.layers, options);
  const { families = ["boundary"], signal, onProgress } = options;
  const objective = scoreOf(options);
  const { goal, margin, confidence, seed, tokenWeighted, inSample, force } = options;
  await using session = adapter.openSession(samples.samples, { ...options, ...packingOf(samples, options) });
  const batches = batchesOf(shard, session.batches.length);
  const model = await identify(adapter.model.file.shards, { hash: options.hash, signal });
  const source = await identify([adapter.file.gguf], { hash: "full", signal });
  const record = await recordRun(adapter, samples, session, { model, adapter: source });
  const machine = await machineInputs(adapter, session, record);
  const read = sampleInputs(samples, session, { ...options, objective });
  await using journal = await openJournal(session, options, () => Promise.resolve({ machine, samples: read }));

  const { layers } = adapter.model;
  const first = candidatesBeforehand(layers, adapter.file.layers, families);
  const candidates = [...first, ...scaleCandidates(layers).filter(({ id }) => !first.some((it) => it.id === id))];
  const perSample = await session.score(candidates, {
    ...{ objective, batches, signal },
    onProgress: ({ done, total }) => {
      const seconds = (performance.now() - start) / 1000;
      onProgress?.({
        stage: "boundary",
        done,
        total,
        secondsLeft: done > 0 ? (seconds * (total - done)) / done : null,
      });
    },
  });
  await journal?.finish();
  return {
    schema: "lora-boundary/part@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command: options.command ?? [],
    shard,
    inputs: { ...machine, ...read },
    objective,
    families,
    judging: { goal, margin, confidence, seed, tokenWeighted, inSample, force },
    reading: options.reading ?? null,
    record,
    packing: session.batches.map((batch, index) => ({ samples: batch, tokens: session.batchLengths[index] ?? 0 })),
    batches,
    check: session.check,
    subsetPasses: await suggestedPasses(sessionScorer(adapter, samples, session, objective)),
    secondsPerPass: session.secondsPerPass ?? (await session.probe(signal)),
    ...scoresOf(candidates, perSample, adapter, session, batches),
    seconds: (performance.now() - start) / 1000,
  };
}

/** @throws UsageError SHARD_OBJECTIVE */
function scoreOf({ objective }: ScoreShardOptions): ScoreObjective {
  const judged = judgedBy(objective);
  if (judged.by === "tokens") return judged.score;
  throw new UsageError(
    "SHARD_OBJECTIVE",
    `Expected \`nll\` or \`kl\` for \`objective\` with a shard but received ${judged.objective.name}: parts hold scores of tokens alone. Run it whole.`,
    { details: { option: "objective" } },
  );
}

function scoresOf(
  candidates: readonly Candidate[],
  perSample: readonly Float64Array[],
  adapter: Adapter,
  session: ScoreSession,
  batches: readonly number[],
): Pick<CalibrationPart, "vectors" | "candidates"> {
  const vectors: (readonly number[])[] = [];
  const known = new Map<string, number>();
  const samples = batches.flatMap((batch) => session.batches[batch] ?? []);
  const scored = candidates.map((candidate, index) => {
    const strengths = [...strengthsOf(candidate, adapter)];
    const key = strengths.join();
    const vector = known.get(key) ?? vectors.push(strengths) - 1;
    known.set(key, vector);
    return { ...candidate, vector, scores: samples.map((sample) => perSample[index]?.[sample] ?? NaN) };
  });
  return { vectors, candidates: scored };
}

/** What a sample is scored with must not depend on how others scored. */
function requireDivisible(layers: number, { strategy, families = [], budget, guard }: CalibrateOptions): void {
  if ((strategy ?? (layers >= RACE_FROM_LAYERS ? "race" : "exhaustive")) !== "exhaustive") {
    const received = strategy === undefined ? `nothing, which is race from ${RACE_FROM_LAYERS} layers on` : strategy;
    throw new UsageError(
      "SHARD_STRATEGY",
      `Expected \`exhaustive\` for \`strategy\` with \`shard\` but received ${received}: who leaves a race depends on all samples together, so it cannot be scored in parts. Add --strategy exhaustive.`,
      { details: { option: "strategy" } },
    );
  }
  const following = families.find((family) => !FAMILIES_BEFOREHAND.includes(family));
  if (following !== undefined) {
    throw new UsageError(
      "SHARD_FAMILIES",
      `Expected ${FAMILIES_BEFOREHAND.join(", ")} for \`families\` with \`shard\` but received ${following}: its candidates follow from the scores of others, so it cannot be scored in parts. Leave it out, or run it whole with --journal.`,
      { details: { option: "families", family: following } },
    );
  }
  if (guard !== undefined) {
    throw new UsageError(
      "SHARD_GUARD",
      "Expected no `guard` with `shard` but received one: who is examined on it follows from all parts together. Leave it out, or run it whole with --journal.",
      { details: { option: "guard" } },
    );
  }
  if (budget === undefined) return;
  throw new UsageError(
    "SHARD_BUDGET",
    "Expected no `budget` with `shard` but received one: parts that stop early make no whole. A part that was stopped goes on with --resume.",
    { details: { option: "budget" } },
  );
}

function batchesOf({ index, of }: Shard, count: number): number[] {
  const whole = Number.isSafeInteger(index) && Number.isSafeInteger(of);
  if (!whole || index < 1 || index > of || of > count) {
    throw new UsageError(
      "SHARD_RANGE",
      `Expected i/n with i from 1 to n, and n at most ${count}, the number of batches of these samples, for \`shard\` but received ${index}/${of}.`,
      { details: { option: "shard", batches: count } },
    );
  }
  return Array.from({ length: count }, (_, batch) => batch).filter((batch) => batch % of === index - 1);
}
