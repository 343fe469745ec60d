import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where files are kept that can be made or fetched again: `LORA_BOUNDARY_CACHE`, else a folder of this package in the place that the
 * system has for it.
 */
export function cacheFolder(): string {
  const { LORA_BOUNDARY_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (own !== undefined && own !== "") return own;
  if (process.platform === "win32") return join(local ?? join(homedir(), "AppData", "Local"), "lora-boundary");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "lora-boundary");
  return join(xdg !== undefined && xdg !== "" ? xdg : join(homedir(), ".cache"), "lora-boundary");
}
