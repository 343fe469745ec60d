import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { librariesFolder, nodeLlamaCpp } from "./llama-cpp.mjs";

/**
 * A package with the addon built for one platform, an optional dependency of a published lora-boundary. The addon finds
 * llama.cpp beside itself: its package depends on the same platform package of node-llama-cpp.
 */

/** Name of that package on this platform. */
export const PREBUILT = `lora-boundary-${process.platform}-${process.arch}`;

/**
 * @returns {{ addon: string, libraries: string } | null} null where there is none, or where it was built for another
 *   llama.cpp than the installed one
 */
export function prebuiltAddon() {
  const lookup = createRequire(fileURLToPath(import.meta.url)).resolve.paths(PREBUILT) ?? [];
  const folder = lookup.map((path) => join(path, PREBUILT)).find((path) => existsSync(join(path, "package.json")));
  if (folder === undefined) return null;
  const { loraBoundary } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const addon = join(folder, "lora_boundary.node");
  if (loraBoundary?.nodeLlamaCpp !== nodeLlamaCpp().version || !existsSync(addon)) return null;
  try {
    return { addon, libraries: librariesFolder() };
  } catch {
    // Without llama.cpp's libraries it is of no use; building says how to get them.
    return null;
  }
}

/** Where the addon of such a package looks for the libraries of `platform`: hoisted, or as pnpm and nested installs lay it. */
export function prebuiltRuntimePath(libraries) {
  const origin = process.platform === "darwin" ? "@loader_path" : "$ORIGIN";
  const platform = libraries.split(/[\\/]/).at(-1);
  const inside = `@node-llama-cpp/${platform}/bins/${platform}`;
  return [`${origin}/node_modules/${inside}`, `${origin}/../${inside}`].join(";");
}

export function platformPackage(libraries) {
  const folder = dirname(dirname(libraries));
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { name, version };
}
