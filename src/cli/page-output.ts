import { Option } from "commander";
import type { Analysis } from "../analysis/analysis.js";
import { readSampleTexts } from "../data/sample-texts.js";
import { CancelledError, LoraBoundaryError } from "../errors.js";
import { requireTarget, writeTarget } from "../gguf/target-file.js";
import { shownLines, type SampleTexts } from "../report/page/samples-section.js";
import { renderPage } from "../report/page/result-page.js";
import type { CalibrationResult } from "../result.js";
import type { CommandContext } from "./context.js";

/** Where a page goes, and what must not be written over. */
export interface PageRequest {
  /** Undefined: not asked for. */
  readonly target: string | undefined;
  readonly inputs: readonly string[];
  readonly force: boolean;
}

/** `--report`: the result as a page to look at and to send. */
export function pageOption(): Option {
  return new Option("--report <file>", "the result as one HTML page, charts and all");
}

/** For the start of a command: a long one must not fail at its end for a name. */
export async function requirePageTarget({ target, inputs, force }: PageRequest): Promise<void> {
  if (target !== undefined) await requireTarget(target, inputs, { force });
}

export async function writePage(
  result: CalibrationResult,
  { target, inputs, force }: PageRequest,
  context: CommandContext,
  analysis: Analysis | null = null,
): Promise<void> {
  if (target === undefined) return;
  const { texts, notices } = await textsOf(result, context.signal);
  await writeText(target, renderPage(result, { texts, notices, analysis }), { inputs, force });
}

/** The texts of the samples that a page shows; where they are gone or changed, a notice in their place. */
export async function textsOf(
  result: CalibrationResult,
  signal: AbortSignal,
): Promise<{ readonly texts: SampleTexts; readonly notices: readonly string[] }> {
  const { path, sha256 } = result.data;
  const none: SampleTexts = new Map();
  if (path === null) return { texts: none, notices: [] };
  try {
    return { texts: await readSampleTexts(path, sha256, shownLines(result), signal), notices: [] };
  } catch (error) {
    if (!(error instanceof LoraBoundaryError) || error instanceof CancelledError) throw error;
    return { texts: none, notices: [`The texts of the samples are not shown: ${error.message}`] };
  }
}

export async function writeText(
  target: string,
  text: string,
  { inputs, force }: Pick<PageRequest, "inputs" | "force">,
): Promise<void> {
  await writeTarget(target, inputs, { force }, async (handle) => {
    await handle.writeFile(text);
    await handle.sync();
  });
}
