import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { moduleDefinitions } from "./import-libraries.mjs";
import { headers, librariesFolder, linkedLibraries, nodeLlamaCpp } from "./llama-cpp.mjs";
import { prebuiltAddon, prebuiltRuntimePath } from "./prebuilt.mjs";
import { requireTools } from "./toolchain.mjs";

/**
 * Builds the addon with cmake-js. Options: --or-explain (on failure say why and exit 0, so that an install goes on: what
 * needs no addon works; where a prebuilt package is installed, nothing is built), --prebuilt (for such a package, see
 * pack-prebuilt.mjs), --sanitize (a second build, with address and undefined-behaviour sanitizers), --verbose.
 */

const here = dirname(fileURLToPath(import.meta.url));
const buildFolder = join(here, "build");
const options = new Set(process.argv.slice(2));
// cmake-js empties its own folder when it configures anew.
const cmakeFolder = join(buildFolder, kind());

try {
  if (!(options.has("--or-explain") && hasPrebuilt())) build();
} catch (error) {
  const advice = "Then build with: npm rebuild lora-boundary (in a checkout: npm run build:native).";
  console.error(`The lora-boundary addon was not built. ${error.message}\n${advice}`);
  console.error("Until then `inspect`, `trim` and `doctor` on files work; everything else needs the addon.");
  process.exitCode = options.has("--or-explain") ? 0 : 1;
}

function kind() {
  if (options.has("--prebuilt")) return "prebuilt-addon";
  return options.has("--sanitize") ? "sanitized" : "addon";
}

/** What is missing for looking is for the build to explain. */
function hasPrebuilt() {
  try {
    return prebuiltAddon() !== null;
  } catch {
    return false;
  }
}

function build() {
  const { cmake, git } = requireTools();
  const libraries = librariesFolder();
  const include = headers(join(buildFolder, "llama.cpp"), git);
  const cmakeJs = join(dirname(createRequire(import.meta.url).resolve("cmake-js/package.json")), "bin", "cmake-js");
  const output = join(cmakeFolder, "Release");
  const args = [
    cmakeJs,
    "compile",
    ...["--directory", here, "--out", cmakeFolder],
    ...(cmake === "cmake" ? [] : ["--cmake-path", cmake]),
    ...(options.has("--sanitize") ? [define("SANITIZE", "ON")] : []),
    define("LLAMA_INCLUDE", include.join(";")),
    linking(libraries),
    define("LLAMA_RPATH", options.has("--prebuilt") ? prebuiltRuntimePath(libraries) : runtimePath(output, libraries)),
    define("NODE_ADDON_API", dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json"))),
  ];
  const loud = options.has("--verbose");
  const result = spawnSync(process.execPath, args, { encoding: "utf8", stdio: loud ? "inherit" : "pipe" });
  if (result.status !== 0) {
    throw new Error(`Compiling failed:\n${loud ? "see above" : tail(result.stdout + result.stderr)}`);
  }
  if (options.has("--prebuilt")) return;
  mkdirSync(buildFolder, { recursive: true });
  // The loader reads where the libraries lie from here, so that both always agree.
  const facts = { nodeLlamaCpp: nodeLlamaCpp().version, libraries: portable(relative(buildFolder, libraries)) };
  writeFileSync(join(buildFolder, "llama-cpp.json"), `${JSON.stringify(facts)}\n`);
}

/** Options for CMake: the libraries to link against or, on Windows, what it makes them from. */
function linking(libraries) {
  const files = linkedLibraries(libraries);
  if (process.platform !== "win32") return define("LLAMA_LIBRARIES", files.join(";"));
  return define(
    "LLAMA_DEFINITIONS",
    moduleDefinitions(files, join(buildFolder, "definitions")).map(portable).join(";"),
  );
}

function define(name, value) {
  return `--CD${name}=${value}`;
}

/** Relative to the addon, so that a moved folder still works. */
function runtimePath(output, libraries) {
  const origin = process.platform === "darwin" ? "@loader_path" : "$ORIGIN";
  return `${origin}/${portable(relative(output, libraries))}`;
}

function portable(path) {
  return path.split(sep).join("/");
}

function tail(text) {
  return text.trim().split("\n").slice(-60).join("\n");
}
