import { execFile } from "node:child_process";
import { mkdir, readdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function runIn(
  cwd: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The package as npm packs it. @returns path of the tarball */
export async function pack(folder: string): Promise<string> {
  const packed = await runIn(ROOT, "npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]);
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  return join(folder, filename);
}

/**
 * Unpacks a tarball where a user's `node_modules` would have it, beside this checkout's dependencies.
 *
 * @returns the package's folder
 */
export async function unpackInto(app: string, tarball: string): Promise<string> {
  const modules = join(app, "node_modules");
  await mkdir(modules, { recursive: true });
  await runIn(app, "tar", ["-xzf", tarball, "-C", modules]);
  const installed = join(modules, "lora-boundary");
  await rename(join(modules, "package"), installed);
  for (const name of await readdir(join(ROOT, "node_modules"))) {
    if (!name.startsWith(".")) await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
  return installed;
}
