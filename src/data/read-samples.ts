import { createHash } from "node:crypto";
import { InputError } from "../errors.js";
import { RowEncoder } from "./encode-row.js";
import { Notices } from "./notices.js";
import { checkOptions, type CheckedOptions, type ReadSamplesOptions } from "./options.js";
import { place, type Origin } from "./origin.js";
import { Pacer } from "./pacer.js";
import { readRows, type ReadRowsResult } from "./read-rows.js";
import { answerOf } from "./references.js";
import { parseRow, type Row } from "./rows.js";
import { scoredCount, type Sample, type SampleSet } from "./sample.js";
import { Reservoir } from "./shuffle.js";
import type { Tokenizer } from "./tokenizer.js";

/** A sample whose group is still the user's own, or null. */
type Ungrouped = Omit<Sample, "group"> & {
  readonly group: string | null;
  /** Index of the sample that this one repeats, token by token. */
  readonly repeats: number | null;
};

interface Encoded {
  readonly samples: readonly Ungrouped[];
  readonly encoder: RowEncoder;
}

function fingerprint({ tokens, scored }: Pick<Sample, "tokens" | "scored">): string {
  return createHash("sha256")
    .update(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength))
    .update(scored)
    .digest("base64");
}

async function encodeRows(
  rows: readonly Row[],
  origin: Origin,
  tokenizer: Tokenizer,
  options: CheckedOptions,
  notices: Notices,
): Promise<Encoded> {
  const { maxTokens } = options;
  const encoder = new RowEncoder(tokenizer, options, origin, notices);
  const pacer = new Pacer(options.signal);
  const seen = new Map<string, number>();
  const samples: Ungrouped[] = [];
  let firstTooLong: { readonly line: number; readonly tokens: number } | null = null;
  for (const row of rows) {
    await pacer.pause();
    const { tokens, scored } = encoder.encode(row);
    if (tokens.length > maxTokens) {
      firstTooLong ??= { line: row.line, tokens: tokens.length };
      notices.add("tooLong", row.line, String(maxTokens));
      continue;
    }
    const print = fingerprint({ tokens, scored });
    const repeats = seen.get(print) ?? null;
    if (repeats === null) seen.set(print, samples.length);
    else notices.add("duplicate", row.line);
    const source = { row: row.fields, answer: answerOf(row) };
    samples.push({ tokens, scored, group: row.group, line: row.line, source, repeats });
  }
  if (samples.length === 0 && firstTooLong !== null) {
    const { line, tokens } = firstTooLong;
    throw new InputError(
      "SAMPLES_ALL_TOO_LONG",
      `${place(origin, line)}: the sample has ${tokens} tokens but at most ${maxTokens} are allowed, and no other sample is shorter. Shorten the samples, or raise \`maxTokens\` if the model can take more.`,
      { details: { file: origin.path, line, tokens, limit: maxTokens } },
    );
  }
  return { samples, encoder };
}

/**
 * A sample without a group is a group of its own: named by its index, unless a user's group has that name. One that
 * repeats another is in the group of that one: twice the same question is no second piece of evidence.
 */
function withGroups(samples: readonly Ungrouped[]): Sample[] {
  const given = new Set(samples.map((sample) => sample.group));
  const named: string[] = [];
  for (const [index, { group, repeats }] of samples.entries()) {
    let name = group ?? (repeats === null ? undefined : named[repeats]) ?? String(index);
    while (group === null && repeats === null && given.has(name)) name = `#${name}`;
    named.push(name);
  }
  return samples.map(({ tokens, scored, line, source }, index) => ({
    ...{ tokens, scored, group: named[index] ?? "", line },
    ...(source && { source }),
  }));
}

/** Options that had nothing to act on, and a set too small for statistics. */
function setNotices(
  source: ReadRowsResult,
  rows: readonly Row[],
  samples: readonly Sample[],
  { options, usedTemplate }: { readonly options: CheckedOptions; readonly usedTemplate: boolean },
): string[] {
  const name = source.origin.path ?? "samples";
  const notices: string[] = [];
  if (samples.length === 1) {
    notices.push(`${name}: only one sample is left; bounds and verdicts need at least two.`);
  }
  if (options.promptTemplate !== null && !rows.some((row) => row.form === "alpaca")) {
    notices.push(`${name}: \`promptTemplate\` was not used; no row has \`instruction\` and \`output\`.`);
  }
  if (options.chatTemplate !== null && !usedTemplate) {
    notices.push(`${name}: \`chatTemplate\` was not used; no row is a conversation.`);
  }
  if (options.eos && rows.every((row) => row.form === "conversation" || (row.form === "alpaca" && usedTemplate))) {
    notices.push(`${name}: \`eos\` was not used; a chat template writes its own end of turn.`);
  }
  return notices;
}

/**
 * Reads, checks and tokenises samples.
 *
 * Rows: `prompt` + `completion`; `messages`; ShareGPT `conversations`; Alpaca `instruction` + `output` (+ `input`);
 * `text`. Any of them may have a `group`. Conversations, and Alpaca rows unless `promptTemplate` is given, go through
 * the chat template; only there control tokens in the text are read as such. Scored is the completion, the whole `text`,
 * or the last assistant turn with its end-of-turn token.
 *
 * @param source path of a JSONL file or of a JSON array, or rows in memory
 * @throws UsageError for a wrong option; InputError naming file and line for what is wrong in the data; CancelledError
 */
export async function readSamples(
  source: string | readonly unknown[],
  tokenizer: Tokenizer,
  options: ReadSamplesOptions = {},
): Promise<SampleSet> {
  const checked = checkOptions(options, tokenizer);
  const picked = new Reservoir<Row>(checked.limit, checked.seed);
  const read = await readRows(
    source,
    (value, line, origin) => {
      picked.offer(parseRow(value, origin, line));
    },
    checked.signal,
  );
  const rows = picked.picks();
  if (rows.length === 0) {
    const where = read.origin.path ?? "the given array";
    throw new InputError("SAMPLES_EMPTY", `Expected at least one sample in ${where} but received none.`, {
      details: { file: read.origin.path },
    });
  }
  const notices = new Notices();
  const { samples: ungrouped, encoder } = await encodeRows(rows, read.origin, tokenizer, checked, notices);
  const samples = withGroups(ungrouped);
  const scoredTokens = samples.reduce((sum, sample) => sum + scoredCount(sample), 0);
  const allTokens = samples.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const { template } = encoder;
  return {
    samples,
    path: read.origin.path,
    sha256: read.sha256,
    scoredTokens,
    promptTokens: allTokens - scoredTokens,
    groups: new Set(samples.map(({ group }) => group)).size,
    template:
      template === null
        ? null
        : {
            source: template.options.origin,
            sha256: template.sha256,
            variables: template.options.variables,
            date: template.options.date,
          },
    notices: [
      ...notices.sentences(read.origin),
      ...setNotices(read, rows, samples, { options: checked, usedTemplate: template !== null }),
    ],
    seed: checked.seed,
  };
}
