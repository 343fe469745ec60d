import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** Checks the format of every C++ file; with --fix writes it. */

const here = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(here).filter((name) => /\.(cc|h)$/.test(name));
// A gate that matched nothing must not pass.
if (files.length === 0) throw new Error(`no C++ files in ${here}`);
const clangFormat = createRequire(import.meta.url).resolve("clang-format/index.js");
const mode = process.argv.includes("--fix") ? ["-i"] : ["--dry-run", "--Werror"];
const { status } = spawnSync(process.execPath, [clangFormat, ...mode, "--style=file", ...files], {
  cwd: here,
  stdio: "inherit",
});
if (status === 0) console.log(`${files.length} C++ files ${mode[0] === "-i" ? "formatted" : "well formatted"}`);
process.exitCode = status ?? 1;
