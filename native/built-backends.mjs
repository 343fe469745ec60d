import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeLlamaCpp } from "./llama-cpp.mjs";

/** Where `lora-boundary-build` puts what it built, and what is there. */

/** Beside the addon or, where the package cannot be written to, in the user's cache; in the order to look. */
export function backendFolders() {
  const { version } = nodeLlamaCpp();
  const beside = join(dirname(fileURLToPath(import.meta.url)), "build", "backends");
  return [beside, join(cacheFolder(), "lora-boundary", `${version}-${process.platform}-${process.arch}`)];
}

function cacheFolder() {
  if (process.platform === "win32") return process.env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  return process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
}

export const FACTS = "backends.json";

/**
 * @returns {{ folder: string, backends: string[] } | null} the build that is used; null where there is none of the
 *   installed llama.cpp
 */
export function builtBackends(folders = backendFolders()) {
  const { version } = nodeLlamaCpp();
  for (const folder of folders) {
    const facts = join(folder, FACTS);
    if (!existsSync(facts)) continue;
    const { nodeLlamaCpp: built, backends } = JSON.parse(readFileSync(facts, "utf8"));
    if (built === version) return { folder, backends };
  }
  return null;
}

/** File name of a backend's library. */
export function libraryName(backend) {
  // llama.cpp builds backends as modules, whose ending is .so on macOS too.
  return process.platform === "win32" ? `ggml-${backend}.dll` : `libggml-${backend}.so`;
}

export const SERVER = process.platform === "win32" ? "ggml-rpc-server.exe" : "ggml-rpc-server";
