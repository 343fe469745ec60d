import { resolve } from "node:path";
import type { Command } from "commander";
import type { GuardNotice } from "../calibration/guard.js";
import type { ReadSamplesOptions } from "../data/options.js";
import { readSamples } from "../data/read-samples.js";
import type { SampleSet } from "../data/sample.js";
import type { Model } from "../engine/model.js";
import { UsageError } from "../errors.js";
import { plural } from "../report/numbers.js";
import { printable } from "../report/text.js";
import type { CommandContext } from "./context.js";
import { decimal } from "./numbers.js";

/** A second set of samples on which what is selected must not be worse. */
export interface GuardFlags {
  readonly guard?: string;
  readonly guardMargin?: number;
}

export function addGuardOptions(command: Command): Command {
  return command
    .optionsGroup("Guard:")
    .option(
      "--guard <file>",
      "samples such as general text: what is selected must not be worse on them than the full adapter, by NLL; scored " +
        "after the search for what could be selected, within no --budget",
    )
    .option(
      "--guard-margin <share>",
      "of the full adapter's NLL on the guard set, that may be added to it (default: 0.01)",
      decimal,
    );
}

/** @throws UsageError GUARD_SAME */
export function requireOtherGuard({ guard }: GuardFlags, samples: string): void {
  if (guard === undefined || resolve(guard) !== resolve(samples)) return;
  throw new UsageError(
    "GUARD_SAME",
    `Expected other samples for \`--guard\` than those that are searched on but received ${guard} for both: a guard is of another kind, such as general text.`,
    { details: { option: "guard" } },
  );
}

/** Reads it as the samples are read, and says what there is to say of it. */
export async function readGuard(
  { guard }: GuardFlags,
  model: Model,
  reading: ReadSamplesOptions,
  { signal, stderr }: CommandContext,
): Promise<SampleSet | undefined> {
  if (guard === undefined) return undefined;
  const set = await readSamples(guard, model, { ...reading, signal });
  for (const notice of set.notices) stderr(`Notice: guard set: ${printable(notice)}`);
  return set;
}

export function guardNotice({ candidates, passes }: GuardNotice): string {
  return `Guard: ${plural(candidates, "candidate")} could be selected; scoring them takes ${passes.toFixed(1)} passes over the guard set.`;
}
