#!/usr/bin/env node
import { writeSync } from "node:fs";
import { BackendError } from "../errors.js";
import { processContext } from "./context.js";
import { failureOf } from "./failure.js";

const OLDEST_NODE = [20, 17] as const;

const interrupt = new AbortController();
const context = processContext(process.argv.slice(2), interrupt.signal);

// Node.js ends with 0 where it has nothing left to wait for, even in the middle of a command.
process.exitCode = 70;
let finished = false;
process.once("exit", () => {
  if (!finished) writeSync(2, "error: internal error, please report: the command stopped without an answer\n");
});

for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => {
    if (finished) return;
    const { text } = failureOf(error, context.debug);
    finished = true;
    context.stderr(text);
    interrupt.abort();
    void context.drained().finally(() => process.exit(70));
  });
}

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (interrupt.signal.aborted) endAtOnce();
    if (context.isTerminal.stderr) context.stderr("Stopping; Ctrl-C once more ends at once.");
    interrupt.abort();
  });
}

/** `process.exit` waits for the threads of running jobs, so where the system can, it ends the process: 130 to the shell. */
function endAtOnce(): void {
  finished = true;
  if (process.platform === "win32") process.exit(130);
  process.removeAllListeners("SIGINT");
  process.kill(process.pid, "SIGINT");
}

function requireNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new BackendError(
    "NODE_TOO_OLD",
    `Expected Node.js ${OLDEST_NODE.join(".")} or newer but this is ${process.versions.node}; install a newer one.`,
  );
}

async function main(): Promise<number> {
  try {
    requireNode();
    const { runProgram } = await import("./program.js");
    return await runProgram(context.argv, context);
  } catch (error) {
    const { exitCode, text } = failureOf(error, context.debug);
    context.progress.done();
    context.stderr(text);
    return exitCode;
  }
}

const exitCode = await main();
const lost = await context.drained();
if (lost === null) {
  process.exitCode = exitCode;
} else {
  const error = new BackendError("STDOUT_FAILED", `The result could not be written to stdout: ${lost.message}.`, {
    cause: lost,
  });
  context.stderr(failureOf(error, context.debug).text);
  process.exitCode = exitCode === 0 ? error.exitCode : exitCode;
}
finished = true;
