import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Finds llama.cpp in the installed node-llama-cpp: headers from its git bundle, prebuilt libraries from its platform package. */

const require = createRequire(import.meta.url);

const PLATFORMS = {
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "linux-arm": "linux-armv7l",
  "linux-arm64": "linux-arm64",
  "linux-riscv64": "linux-riscv64",
  "linux-x64": "linux-x64",
  "win32-arm64": "win-arm64",
  "win32-x64": "win-x64",
};

/** @returns {{ folder: string, version: string }} of the npm package; its package.json is not an exported subpath */
export function nodeLlamaCpp() {
  let folder = dirname(require.resolve("node-llama-cpp"));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return { folder, version: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version };
}

/** @returns {string} the folder with llama.cpp's libraries for this platform */
export function librariesFolder() {
  const { folder, version } = nodeLlamaCpp();
  const platform = PLATFORMS[`${process.platform}-${process.arch}`];
  if (platform === undefined) {
    throw new Error(`node-llama-cpp ${version} has no prebuilt llama.cpp for ${process.platform} on ${process.arch}.`);
  }
  const name = `@node-llama-cpp/${platform}`;
  const entry = createRequire(join(folder, "package.json")).resolve.paths(name) ?? [];
  const found = entry.map((path) => join(path, name, "bins", platform)).find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      `The npm package ${name}@${version} is not installed: it is an optional dependency, so install without --omit=optional.`,
    );
  }
  return found;
}

/** As node-llama-cpp names them: `libllama.v0.5.0.so`, `libllama.metal.v0.5.0.dylib`, `llama.v0.5.0.dll`, `ggml-base.dll`. */
const LINKED = /^(lib)?(llama|ggml|ggml-base)(\.[a-z]+)?(\.v[\d.]+)?\.(so|dylib|dll)$/;

/** @returns {string[]} the libraries that the addon uses; on Windows the DLLs, which nothing can be linked against */
export function linkedLibraries(folder) {
  return readdirSync(folder)
    .filter((name) => LINKED.test(name))
    .map((name) => join(folder, name));
}

/**
 * Checks out llama.cpp's public headers into `target` once per version of node-llama-cpp.
 * @param {string[]} more paths of other files to check out, inside llama.cpp
 * @returns {string[]} include folders
 */
export function headers(target, git, more = []) {
  checkOut(target, git, ["include", "ggml/include", ...more]);
  return [join(target, "include"), join(target, "ggml", "include")];
}

/**
 * Checks out all of llama.cpp's sources into `target` once per version of node-llama-cpp.
 * @returns {string} target
 */
export function sources(target, git) {
  checkOut(target, git, ["."]);
  return target;
}

function checkOut(target, git, paths) {
  const { folder, version } = nodeLlamaCpp();
  const stamp = join(target, "version.txt");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === version) return;
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const bundle = join(folder, "llama", "gitRelease.bundle");
  run(git, ["init", "--quiet"], target);
  run(git, ["fetch", "--quiet", bundle, "HEAD"], target);
  run(git, ["checkout", "--quiet", "FETCH_HEAD", "--", ...paths], target);
  rmSync(join(target, ".git"), { recursive: true, force: true });
  writeFileSync(stamp, version);
}

function run(command, args, cwd) {
  // A hook's environment must not redirect git to the repository around this folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
  const { status, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr.trim()}`);
}
