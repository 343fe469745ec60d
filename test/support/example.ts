import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const path = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

/** Runs a program of `examples/` with Node.js; `lora-boundary` in it is this checkout. */
export async function runExample(name: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [path(name), ...args]);
  return stdout;
}

/** A Python with gguf-py: `LORA_BOUNDARY_PYTHON`, else `python3`. */
const PYTHON = process.env["LORA_BOUNDARY_PYTHON"] ?? "python3";

export function hasGgufPython(): boolean {
  return spawnSync(PYTHON, ["-c", "import gguf"], { timeout: 60_000 }).status === 0;
}

export async function runPythonExample(name: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, [path(name), ...args]);
  return stdout;
}
