import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { headers, librariesFolder, linkedLibraries, nodeLlamaCpp } from "./llama-cpp.mjs";
import { requireTools } from "./toolchain.mjs";

/**
 * Builds the addon with cmake-js. Options: --or-explain (on failure say why and exit 0, so that an install goes on: what
 * needs no addon works), --sanitize (a second build, with address and undefined-behaviour sanitizers), --verbose.
 */

const here = dirname(fileURLToPath(import.meta.url));
const buildFolder = join(here, "build");
const options = new Set(process.argv.slice(2));
// cmake-js empties its own folder when it configures anew.
const cmakeFolder = join(buildFolder, options.has("--sanitize") ? "sanitized" : "addon");

try {
  build();
} catch (error) {
  const advice = "Then build with: npm rebuild lora-boundary (in a checkout: npm run build:native).";
  console.error(`The lora-boundary addon was not built. ${error.message}\n${advice}`);
  console.error("Until then `inspect`, `trim` and `doctor` on files work; everything else needs the addon.");
  process.exitCode = options.has("--or-explain") ? 0 : 1;
}

function build() {
  const { cmake, git } = requireTools();
  const libraries = librariesFolder();
  const include = headers(join(buildFolder, "llama.cpp"), git);
  const cmakeJs = join(dirname(createRequire(import.meta.url).resolve("cmake-js/package.json")), "bin", "cmake-js");
  const output = join(cmakeFolder, "Release");
  const define = (name, value) => `--CD${name}=${value}`;
  const args = [
    cmakeJs,
    "compile",
    ...["--directory", here, "--out", cmakeFolder],
    ...(cmake === "cmake" ? [] : ["--cmake-path", cmake]),
    ...(options.has("--sanitize") ? [define("SANITIZE", "ON")] : []),
    define("LLAMA_INCLUDE", include.join(";")),
    define("LLAMA_LIBRARIES", linkedLibraries(libraries).join(";")),
    define("LLAMA_RPATH", runtimePath(output, libraries)),
    define("NODE_ADDON_API", dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json"))),
  ];
  const loud = options.has("--verbose");
  const result = spawnSync(process.execPath, args, { encoding: "utf8", stdio: loud ? "inherit" : "pipe" });
  if (result.status !== 0) {
    throw new Error(`Compiling failed:\n${loud ? "see above" : tail(result.stdout + result.stderr)}`);
  }
  mkdirSync(buildFolder, { recursive: true });
  // The loader reads where the libraries lie from here, so that both always agree.
  const facts = { nodeLlamaCpp: nodeLlamaCpp().version, libraries: portable(relative(buildFolder, libraries)) };
  writeFileSync(join(buildFolder, "llama-cpp.json"), `${JSON.stringify(facts)}\n`);
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
