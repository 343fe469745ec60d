import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { BackendError } from "../errors.js";
import type { NativeAddon } from "./types.js";

const NATIVE = fileURLToPath(new URL("../../native/", import.meta.url));
const BUILD = join(NATIVE, "build");
// The tests of native code can run on a build with sanitizers.
const KIND = process.env["LORA_BOUNDARY_ADDON"] === "sanitized" ? "sanitized" : "addon";
const ADDON = join(BUILD, KIND, "Release", "lora_boundary.node");
/** Written by the build: where llama.cpp's libraries lie. */
const FACTS = join(BUILD, "llama-cpp.json");
const REBUILD = "npm rebuild lora-boundary (in a checkout: npm run build:native)";

interface Toolchain {
  requireTools(): unknown;
}

/** What `lora-boundary-build` built, for the installed llama.cpp. */
export interface BuiltBackends {
  readonly folder: string;
  readonly backends: readonly string[];
}

/** The addon and the folder of llama.cpp's libraries. */
interface AddonFiles {
  readonly addon: string;
  readonly libraries: string;
}

interface PrebuiltModule {
  /** Of a package for this platform; null where there is none for the installed llama.cpp. */
  readonly prebuiltAddon: () => AddonFiles | null;
}

interface BuiltBackendsModule {
  builtBackends(): BuiltBackends | null;
  readonly libraryName: (backend: string) => string;
}

let loaded: Promise<NativeAddon> | null = null;

/**
 * Loads the addon and llama.cpp's backends, once per process.
 *
 * @throws BackendError ADDON_MISSING where it was never built, with the tool that is missing and the command that
 *   installs it; ADDON_FAILED where it does not load; NO_BACKEND
 */
export function loadAddon(): Promise<NativeAddon> {
  loaded ??= load();
  return loaded;
}

/** Whether the addon is there, without loading it. @throws BackendError ADDON_MISSING */
export async function requireAddonBuilt(): Promise<void> {
  await addonFiles();
}

/** What was built here, on purpose or for want of a package, before a package that was built elsewhere. */
async function addonFiles(): Promise<AddonFiles> {
  if (existsSync(ADDON) && existsSync(FACTS)) {
    const { libraries } = JSON.parse(readFileSync(FACTS, "utf8")) as { readonly libraries: string };
    return { addon: ADDON, libraries: join(BUILD, libraries) };
  }
  const { prebuiltAddon } = (await import(new URL("prebuilt.mjs", pathToFileURL(NATIVE)).href)) as PrebuiltModule;
  const prebuilt = KIND === "addon" ? prebuiltAddon() : null;
  if (prebuilt === null) throw await missing();
  return prebuilt;
}

/** Known when the addon is loaded. */
let librariesFolder = "";

let built: BuiltBackends | null = null;
let libraryName: BuiltBackendsModule["libraryName"] = (backend) => backend;

/** The build of `lora-boundary-build` that is used; null where there is none, or before the addon is loaded. */
export function builtBackends(): BuiltBackends | null {
  return built;
}

async function load(): Promise<NativeAddon> {
  const { addon: path, libraries: folder } = await addonFiles();
  librariesFolder = folder;
  const module = (await import(new URL("built-backends.mjs", pathToFileURL(NATIVE)).href)) as BuiltBackendsModule;
  ({ libraryName } = module);
  built = module.builtBackends();
  try {
    const addon = createRequire(import.meta.url)(path) as NativeAddon;
    addon.loadBackends(folder);
    return addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BackendError(
      "ADDON_FAILED",
      `The addon ${path} does not load: ${reason}\nIt looks for llama.cpp in ${folder}${existsSync(folder) ? "" : ", which does not exist"}. Build it again: ${REBUILD}.`,
      { cause, details: { addon: path, folder } },
    );
  }
}

export type GpuLibrary = "cuda" | "metal" | "vulkan";

/**
 * Path of a backend that is no CPU's: as `lora-boundary-build` built it, else in node-llama-cpp's package for it, beside
 * that of the CPU libraries; null where it is not there. To be asked when the addon is loaded.
 */
export function backendLibrary(kind: GpuLibrary | "rpc"): string | null {
  if (built?.backends.includes(kind) === true) return join(built.folder, libraryName(kind));
  const platform = `${basename(librariesFolder)}-${kind}`;
  const path = join(librariesFolder, "../../..", platform, "bins", platform, libraryName(kind));
  return existsSync(path) ? path : null;
}

async function missing(): Promise<BackendError> {
  let reason = "Every tool that building needs is there.";
  try {
    const toolchain = (await import(new URL("toolchain.mjs", `file://${NATIVE}`).href)) as Toolchain;
    toolchain.requireTools();
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  return new BackendError(
    "ADDON_MISSING",
    `This needs the addon, which has not been built. ${reason} Then build it: ${REBUILD}.`,
    { details: { folder: BUILD } },
  );
}
