import type { ScoreSession } from "../engine/score-session.js";
import { Journal, type JournalOptions } from "./journal.js";
import type { RunInputs } from "./run-record.js";

export interface JournalRequest {
  readonly journal?: JournalOptions | undefined;
  /** What a journal had to say, before anything is scored. */
  readonly onNotice?: ((notice: string) => void) | undefined;
}

/**
 * Opens the journal that was asked for, and has the session use it.
 *
 * @param inputsOf what the scores depend on; asked for only then
 * @returns null where none was asked for
 * @throws as `Journal.open` and `Journal.storeOf`
 */
export async function openJournal(
  session: ScoreSession,
  { journal: wanted, onNotice }: JournalRequest,
  inputsOf: () => Promise<{ readonly machine: RunInputs; readonly samples: RunInputs }>,
): Promise<Journal | null> {
  if (wanted === undefined) return null;
  const inputs = await inputsOf();
  const journal = await Journal.open(wanted, inputs.machine);
  try {
    session.useStore(await journal.storeOf("samples", inputs.samples, session.batches));
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
  for (const notice of journal.notices) onNotice?.(notice);
  return journal;
}
