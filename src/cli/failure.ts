import { inspect } from "node:util";
import { InternalError, LoraBoundaryError } from "../errors.js";
import { printable } from "../report/text.js";

/** What an error means to the one who typed the command. */
export interface Failure {
  readonly exitCode: number;
  /** For stderr, harmless for a terminal; empty where everything has been said. */
  readonly text: string;
}

const INTERNAL = 70;
const USAGE = 2;

/** @param debug show stacks, causes and details */
export function failureOf(error: unknown, debug: boolean): Failure {
  const parserExitCode = commanderExitCode(error);
  // The parser has written its message; 0 is its way out after --help and --version.
  if (parserExitCode !== null) return { exitCode: parserExitCode === 0 ? 0 : USAGE, text: "" };
  const text = printableLines(`${headline(error)}${debug ? `\n${inspect(error, { depth: 6 })}` : ""}`);
  return { exitCode: error instanceof LoraBoundaryError ? error.exitCode : INTERNAL, text };
}

function headline(error: unknown): string {
  if (error instanceof LoraBoundaryError && !(error instanceof InternalError)) return `error: ${error.message}`;
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `error: internal error, please report: ${what}\nRun the same command with --debug for the details to report.`;
}

/** Known by its code: this module must not load the parser, which may be what has failed to load. */
function commanderExitCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("code" in error) || !("exitCode" in error)) return null;
  return String(error.code).startsWith("commander.") ? Number(error.exitCode) : null;
}

/** Messages quote names and lines of foreign files, which must not reach the terminal as they are. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
