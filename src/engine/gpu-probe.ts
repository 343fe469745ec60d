import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { CancelledError } from "../errors.js";
import type { NativeDevice } from "../native/types.js";
import { nameOf, type GpuSource } from "./gpu-backends.js";

/**
 * A GPU backend whose code the installed driver cannot run ends the process in which it computes first. So that happens in
 * a process of its own, before this one touches the device: the demo's base model, one batch.
 *
 * A success is not remembered on disk: what decides it is the driver, whose version no backend tells.
 */

/** What the child is told. */
export interface ProbeTask extends GpuSource {
  /** Names of those to try; none: all of the backend. */
  readonly devices: readonly string[];
  /** A small GGUF base model. */
  readonly model: string;
}

export interface GpuProbe {
  /** That were tried: none where the backend has none, or the child failed before. */
  readonly devices: readonly NativeDevice[];
  /** How the child failed, with its last words; null where everything that was tried computes. */
  readonly failure: string | null;
}

export interface ProbeOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the child may take, seconds; the first run may compile GPU code. Default 180 */
  readonly limit?: number | undefined;
}

/** Compiled, also when this module is not, as in tests. */
const CHILD = new URL("../../dist/engine/gpu-probe-child.js", import.meta.url);
const MODEL = fileURLToPath(new URL("../../models/demo-base.gguf", import.meta.url));

const known = new Map<string, GpuProbe>();

/**
 * Whether devices of a backend compute, tried once per process.
 *
 * @param devices names of those to try; none: all of the backend
 * @throws CancelledError
 */
export async function probeGpus(
  { backend, library }: GpuSource,
  devices: readonly string[],
  signal?: AbortSignal,
): Promise<GpuProbe> {
  const key = JSON.stringify([backend, library, devices]);
  const before = known.get(key);
  if (before !== undefined) return before;
  const probe = await runProbe(CHILD, { backend, library, devices, model: MODEL }, { signal });
  known.set(key, probe);
  return probe;
}

/**
 * @param script of the child: it may send the devices that it is about to try, and ends with 0 if they compute
 * @throws CancelledError; the child is killed
 */
export async function runProbe(
  script: URL,
  task: ProbeTask,
  { signal, limit = 180 }: ProbeOptions = {},
): Promise<GpuProbe> {
  const expired = AbortSignal.timeout(limit * 1000);
  let devices: readonly NativeDevice[] = [];
  let words = "";
  const failed = (how: string): GpuProbe => {
    const where = devices.length === 0 ? "" : ` on ${devices.map(nameOf).join(", ")}`;
    const last = lastLines(words);
    return { devices, failure: `a trial${where} ${how}${last === "" ? "" : `: ${last}`}` };
  };
  let child: ChildProcess | undefined;
  try {
    child = fork(script, [JSON.stringify(task)], {
      // A debugger that ggml attaches to itself takes seconds and says nothing here.
      env: { ...process.env, GGML_NO_BACKTRACE: "1" },
      execArgv: [],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      signal: signal === undefined ? expired : AbortSignal.any([signal, expired]),
      killSignal: "SIGKILL",
    });
    child.on("message", (message) => {
      devices = message as readonly NativeDevice[];
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      words = (words + text).slice(-MOST_KEPT);
    });
    const [code, killer] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (code === 0) return { devices, failure: null };
    return failed(killer === null ? `ended with exit code ${code ?? "none"}` : `was ended by ${killer}`);
  } catch (error) {
    if (signal?.aborted === true) throw new CancelledError();
    if (expired.aborted) return failed(`did not end within ${limit} s, so it was stopped`);
    return failed(`could not be started: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    if (child !== undefined) letGo(child);
  }
}

/** A child that hangs in a driver outlives even its killing; this process must not wait for it. */
function letGo(child: ChildProcess): void {
  child.stderr?.destroy();
  if (child.connected) child.disconnect();
  child.unref();
}

/** Characters of the child's standard error, and lines of them that are shown: an error of CUDA takes four. */
const MOST_KEPT = 4096;
const MOST_LINES = 4;

function lastLines(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .slice(-MOST_LINES)
    .join("; ")
    .replace(/[.;]+$/, "");
}
