import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { JournalOptions } from "../calibration/journal.js";
import { UsageError } from "../errors.js";
import { removeLeftovers, requireTarget } from "../gguf/target-file.js";

export interface JournalFlags {
  readonly output?: string;
  readonly json?: string;
  /** False: `--no-journal`. */
  readonly journal?: string | false;
  readonly resume?: true;
  readonly force?: boolean;
}

/** Where a run keeps its finished work. */
export interface JournalRequest {
  /** Undefined: nowhere. */
  readonly options: JournalOptions | undefined;
  /** The run goes on from what it has left, so it may write over its own outputs. */
  readonly resumes: boolean;
}

/**
 * Beside the adapter that is written, else beside the result; without either there is nothing that a journal could stand
 * beside, and no run that is worth one.
 *
 * @throws UsageError RESUME_WHERE, JOURNAL_SAME; as `requireTarget`
 */
export async function journalRequest(flags: JournalFlags, inputs: readonly string[]): Promise<JournalRequest> {
  const { output, journal, resume = false, force = false } = flags;
  const json = flags.json === "-" ? undefined : flags.json;
  const beside = output ?? json;
  const path = journal ?? (beside === undefined ? undefined : `${beside}.journal`);
  if (path === undefined || path === false || path === "") {
    if (!resume) return { options: undefined, resumes: false };
    throw new UsageError(
      "RESUME_WHERE",
      "Expected -o, --json FILE or --journal FILE with `--resume`, which name the journal, but received none of them.",
      { details: { option: "resume" } },
    );
  }
  const same = [output, json].find((target) => target !== undefined && resolve(target) === resolve(path));
  if (same !== undefined) {
    throw new UsageError("JOURNAL_SAME", `Expected another file than ${same} for \`--journal\`; give another name.`, {
      details: { option: "journal" },
    });
  }
  await requireTarget(path, inputs, { force: true });
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  const resumes = resume && exists;
  for (const target of resumes ? [output, json] : []) if (target !== undefined) await removeLeftovers(target);
  return { options: { path, resume, force }, resumes };
}
