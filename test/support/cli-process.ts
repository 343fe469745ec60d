import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const MAIN = join(ROOT, "dist/cli/main.js");
export const DEMO = {
  base: join(ROOT, "models/demo-base.gguf"),
  adapter: join(ROOT, "models/demo-adapter.gguf"),
  samples: join(ROOT, "models/demo-samples.jsonl"),
};

if (!existsSync(MAIN)) {
  execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: ROOT,
  });
}

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly main?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What the test runner sets for itself (colours, NODE_OPTIONS) must not reach the program. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP } = process.env;
  return { PATH, ...(SystemRoot && { SystemRoot }), ...(TEMP && { TEMP }), LANG: "C.UTF-8", ...extra };
}

export function start(args: readonly string[], { main = MAIN, cwd, env }: StartOptions = {}): ChildProcess {
  return spawn(process.execPath, [main, ...args], { cwd, env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
}

export function ended(child: ChildProcess): Promise<Ended> {
  const collected = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (collected.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (collected.stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({ code, signal, ...collected });
    });
  });
}

export function run(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return ended(start(args, options));
}

/**
 * A copy of the compiled package without the addon, some of its modules replaced.
 *
 * @param replaced sources by path inside dist
 * @returns path of the copy's main.js
 */
export async function copiedProgram(folder: string, replaced: Readonly<Record<string, string>> = {}): Promise<string> {
  await mkdir(folder);
  await cp(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  await cp(join(ROOT, "package.json"), join(folder, "package.json"));
  await mkdir(join(folder, "native"));
  for (const name of await readdir(join(ROOT, "native"))) {
    if (name.endsWith(".mjs")) await cp(join(ROOT, "native", name), join(folder, "native", name));
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
  for (const [path, source] of Object.entries(replaced)) await writeFile(join(folder, "dist", path), source);
  return join(folder, "dist/cli/main.js");
}
