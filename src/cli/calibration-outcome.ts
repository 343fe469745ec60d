import { resolve } from "node:path";
import { InputError, UsageError } from "../errors.js";
import { requireTarget } from "../gguf/target-file.js";
import { renderCalibration } from "../report/terminal.js";
import type { CalibrationResult } from "../result.js";
import type { CommandContext } from "./context.js";
import { deliver, type JsonRequest } from "./json-output.js";
import { writePage, type PageRequest } from "./page-output.js";

/**
 * For the start of a run: an hour must not end in a bad name.
 *
 * @throws UsageError CALIBRATE_OUTPUT, CALIBRATE_SAME; as `requireTarget`
 */
export async function requireOutput(
  output: string,
  json: string | undefined,
  inputs: readonly string[],
  force: boolean,
): Promise<void> {
  if (output === "" || output === "-") {
    throw new UsageError(
      "CALIBRATE_OUTPUT",
      `Expected a file name for \`--output\` but received ${output === "" ? "nothing" : "`-`, stdout, which cannot be checked"}; give a name such as small.gguf.`,
      { details: { option: "output" } },
    );
  }
  if (json !== undefined && resolve(json) === resolve(output)) {
    throw new UsageError(
      "CALIBRATE_SAME",
      `Expected another file than that of \`--output\` for \`--json\` but received ${output} for both; give another name.`,
      { details: { option: "json" } },
    );
  }
  await requireTarget(output, inputs, { force });
}

/**
 * Writes the selected adapter where one is proven and asked for, tells the result, and gives the exit code.
 *
 * @param write null where no file is asked for
 * @throws InputError GATE_*; what `write` throws, after the result has been told
 */
export async function tellOutcome(
  found: CalibrationResult,
  write: ((result: CalibrationResult) => Promise<CalibrationResult>) | null,
  { json, page }: { readonly json: JsonRequest; readonly page: PageRequest },
  context: CommandContext,
): Promise<number> {
  let result = found;
  let failure: Error | null = null;
  if (write !== null && found.selected !== null) {
    context.progress.update({ label: "Writing and checking the adapter", done: 0, total: 1, secondsLeft: null });
    try {
      result = await write(found);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // What took an hour to find is told all the same; the failure follows.
      failure = error;
    }
  }
  context.progress.done();
  await deliver(result, () => renderCalibration(result, context.style), json, context);
  await writePage(result, page, context);
  if (failure !== null) throw failure;
  if (!result.gate.passed && !result.gate.forced) {
    throw new InputError(
      result.gate.failure === "no-gain" ? "GATE_NO_GAIN" : "GATE_TOO_FEW",
      "The search stopped because the full adapter is not proven better than the base model; see the likely causes above. To go on all the same: --force.",
    );
  }
  return result.selected === null ? 1 : 0;
}
