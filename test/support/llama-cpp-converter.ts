import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** A Python with what llama.cpp's converter imports: `LORA_BOUNDARY_PYTHON`, else `python3`. */
const PYTHON = process.env["LORA_BOUNDARY_PYTHON"] ?? "python3";

export function hasConverterPython(): boolean {
  return spawnSync(PYTHON, ["-c", "import torch, transformers, safetensors, numpy"], { timeout: 120_000 }).status === 0;
}

/** The git bundle of llama.cpp; the package's own package.json is not an exported path. */
function sources(): string {
  let folder = dirname(createRequire(import.meta.url).resolve("node-llama-cpp"));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return join(folder, "llama", "gitRelease.bundle");
}

/** Checks the converter of the very llama.cpp in use out of the sources that node-llama-cpp carries. */
export function checkOutConverter(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const git = (...args: string[]) => execFileSync("git", ["-C", folder, ...args], { stdio: "pipe" });
  git("init", "--quiet");
  git("fetch", "--quiet", "--depth=1", sources(), "HEAD");
  git("checkout", "--quiet", "FETCH_HEAD", "--", "convert_lora_to_gguf.py", "conversion", "gguf-py");
}

export function convertWithLlamaCpp(converter: string, base: string, adapter: string, target: string): void {
  const args = [
    join(converter, "convert_lora_to_gguf.py"),
    "--base",
    base,
    "--outfile",
    target,
    "--outtype",
    "f32",
    adapter,
  ];
  const { status, stderr } = spawnSync(PYTHON, args, { encoding: "utf8", timeout: 120_000 });
  if (status !== 0) throw new Error(`llama.cpp's converter ended with ${String(status)}:\n${stderr}`);
}
