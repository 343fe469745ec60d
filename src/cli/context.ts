import type { RenderOptions } from "../report/text.js";
import { Output } from "./output.js";
import { ProgressLine, type Progress } from "./progress.js";
import { terminalStyle } from "./terminal-style.js";

/** What a command may know of the world and do to it. Commands never touch `process`. */
export interface CommandContext {
  /** Arguments as given, for a result's `command`. */
  readonly argv: readonly string[];
  /** Results, in whole lines. */
  readonly stdout: (text: string) => void;
  /** Results that grow: text as it is, without the line break that `stdout` adds. */
  readonly stream: (text: string) => void;
  /** Everything else, in whole lines. */
  readonly stderr: (text: string) => void;
  /** Of stdout. */
  readonly style: RenderOptions;
  readonly isTerminal: { readonly stdout: boolean; readonly stderr: boolean };
  /** On stderr; `done` it before the command returns. */
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface ProcessContext extends CommandContext {
  /** `--debug` was given: errors are shown with stack and cause. */
  readonly debug: boolean;
  /** Waits until both streams are written; the failure that lost a part of stdout. */
  drained(): Promise<Error | null>;
}

export function processContext(argv: readonly string[], signal: AbortSignal): ProcessContext {
  const stdout = new Output(process.stdout);
  const stderr = new Output(process.stderr);
  const flags = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  const styleOfStream = ({ width, isTerminal }: Output): RenderOptions =>
    terminalStyle({
      ...{ width, isTerminal, colorAsked: !flags.includes("--no-color") },
      environment: process.env,
      platform: process.platform,
    });
  const progress = new ProgressLine({
    write: (text) => {
      stderr.write(text);
    },
    rewrites: stderr.isTerminal && process.env["TERM"] !== "dumb",
    width: () => stderr.width,
    unicode: styleOfStream(stderr).unicode ?? false,
  });
  return {
    argv,
    stdout: (text) => {
      // Both streams are mostly the same terminal.
      progress.hide();
      stdout.writeLines(text);
    },
    stream: (text) => {
      progress.hide();
      stdout.write(text);
    },
    stderr: (text) => {
      progress.hide();
      stderr.writeLines(text);
    },
    style: styleOfStream(stdout),
    isTerminal: { stdout: stdout.isTerminal, stderr: stderr.isTerminal },
    progress,
    signal,
    debug: flags.includes("--debug"),
    async drained() {
      // What is lost of stderr has nobody left to be told to.
      await stderr.drained();
      return stdout.drained();
    },
  };
}
