import { InputError } from "../errors.js";
import type { CalibrationResult } from "../result.js";
import { KL, NLL } from "../search/objective.js";
import { search } from "../search/search.js";
import { suggestSubset } from "../search/suggest-subset.js";
import type { PartFile } from "./read-part.js";
import { RecordedScorer } from "./recorded-scorer.js";
import { resultOf } from "./result-of.js";
import { differences, type RunInputs } from "./run-record.js";
import type { RecordedJudging } from "./shard.js";

export interface MergeOptions extends Omit<RecordedJudging, "seed"> {
  /** Goes into the result as it is. */
  readonly command?: readonly string[] | undefined;
}

/** What may differ between the machines of a cluster: a sample's candidates are all compared on one of them. */
const OF_ONE_MACHINE: readonly string[] = ["threads", "processor"];

/**
 * The result of the whole run from its parts: the search is carried out again on their scores, so nothing is computed. The
 * same bits as one run on one machine, but for the time, the command and `cost.seconds`.
 *
 * @param options override what the parts were scored with: judgements, not inputs
 * @throws InputError PART_MISSING, PART_TWICE, PART_OTHER_RUN, PART_DAMAGED; as `calibrate` for what follows from scores
 */
export async function mergeParts(parts: readonly PartFile[], options: MergeOptions = {}): Promise<CalibrationResult> {
  const sorted = requireWhole(parts);
  const [first] = sorted;
  const scorer = new RecordedScorer(sorted);
  const { command = [], ...asked } = options;
  const judging = { ...first.judging, ...definedOf(asked) };
  const outcome = await search(scorer, {
    ...definedOf(judging),
    strategy: "exhaustive",
    families: first.families,
    objective: first.objective === "kl" ? KL : NLL,
  });
  const speeds = sorted.map(({ secondsPerPass }) => secondsPerPass);
  const result = resultOf(outcome, {
    ...{ record: first.record, session: scorer.facts, command, cause: "budget" },
    suggestion: await suggestSubset(outcome, scorer, {
      passes: () => Promise.resolve(first.subsetPasses),
      secondsPerPass: () => Promise.resolve(speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length),
    }),
    seconds: sorted.reduce((sum, { seconds }) => sum + seconds, 0),
  });
  const notices = [...result.data.notices, ...machineNotices(sorted)];
  return { ...result, data: { ...result.data, notices } };
}

function requireWhole(parts: readonly PartFile[]): readonly [PartFile, ...PartFile[]] {
  const [first] = parts;
  if (first === undefined) throw new InputError("PART_MISSING", "Expected the parts of a run but received none.");
  for (const part of parts.slice(1)) requireSameRun(first, part);
  const { of } = first.shard;
  const sorted = Array.from({ length: of }, (_, index) => {
    const [part, twice] = parts.filter(({ shard }) => shard.index === index + 1);
    if (twice !== undefined && part !== undefined) {
      throw new InputError(
        "PART_TWICE",
        `${part.path} and ${twice.path} are both part ${index + 1}/${of}: give each part once.`,
        { details: { paths: [part.path, twice.path] } },
      );
    }
    return part;
  });
  const missing = [...sorted.keys()].filter((index) => sorted[index] === undefined).map((index) => index + 1);
  if (missing.length > 0) {
    const shards = missing.map((index) => `--shard ${index}/${of}`).join(", ");
    throw new InputError(
      "PART_MISSING",
      `Expected all ${of} parts of the run but received ${of - missing.length}: score the missing ones with ${shards}, or add their files.`,
      { details: { missing } },
    );
  }
  const [lowest, ...rest] = sorted.flatMap((part) => part ?? []);
  return [lowest ?? first, ...rest];
}

function requireSameRun(first: PartFile, part: PartFile): void {
  const changed = differences(identityOf(first), identityOf(part));
  if (changed.length === 0) return;
  const named = changed.map((difference) => difference.replace(" then, ", " there, ").replace(" now)", " here)"));
  throw new InputError(
    "PART_OTHER_RUN",
    `${part.path}: this part is not of the same run as ${first.path}: ${named.join("; ")}. Merge parts of one run only.`,
    { details: { paths: [first.path, part.path], differences: changed } },
  );
}

/** All that must be equal between parts. */
function identityOf({ inputs, shard, families, judging }: PartFile): RunInputs {
  return {
    ...Object.fromEntries(Object.entries(inputs).filter(([name]) => !OF_ONE_MACHINE.includes(name))),
    "number of parts": String(shard.of),
    families: families.join(", "),
    ...Object.fromEntries(Object.entries(judging).map(([name, value]) => [name, String(value)])),
  };
}

function machineNotices(parts: readonly PartFile[]): string[] {
  return OF_ONE_MACHINE.filter((name) => new Set(parts.map(({ inputs }) => inputs[name])).size > 1).map(
    (name) =>
      `Parts were scored with different ${name}: all candidates of a sample on the same one, but a run on one machine may differ in the last digits.`,
  );
}

/** Without what is undefined, which must not take the place of a default. */
function definedOf<Options extends object>(options: Options): { [Key in keyof Options]: NonNullable<Options[Key]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
