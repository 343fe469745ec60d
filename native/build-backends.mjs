import { spawn } from "node:child_process";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { backendFolders, builtBackends, FACTS, libraryName, SERVER } from "./built-backends.mjs";
import { librariesFolder, nodeLlamaCpp, sources } from "./llama-cpp.mjs";
import { requireTools } from "./toolchain.mjs";

/**
 * Builds backends of llama.cpp from the sources that node-llama-cpp carries. All else stays as node-llama-cpp has built it,
 * the processor's kernels above all: the same bits, and minutes saved. The folder holds everything that the RPC server
 * needs, so it can be copied to another machine of the same kind.
 *
 * @param {{ backends: string[], jobs: number, signal: AbortSignal, onProgress: (share: number, line: string) => void }} options
 *   backends: some of rpc, cuda, vulkan, metal; those built before are kept
 * @returns {Promise<{ folder: string, backends: string[] }>}
 */
export async function buildBackends({ backends, jobs, signal, onProgress }) {
  const { cmake, git } = requireTools();
  const prebuilt = librariesFolder();
  const target = writableFolder();
  const before = builtBackends([target]);
  const kept = (before?.backends ?? []).filter((backend) => !backends.includes(backend));
  const work = `${target}.${process.pid}.partial`;
  try {
    const source = sources(join(work, "source"), git);
    const build = join(work, "build");
    const run = (args) => runCMake(cmake, args, { signal, onProgress });
    await run(["-S", source, "-B", build, ...OPTIONS, ...backends.map((name) => `-DGGML_${name.toUpperCase()}=ON`)]);
    const targets = [
      ...backends.map((name) => `ggml-${name}`),
      ...(backends.includes("rpc") ? ["ggml-rpc-server"] : []),
    ];
    await run(["--build", build, "--config", "Release", "--parallel", String(jobs), "--target", ...targets]);
    const ready = join(work, "ready");
    mkdirSync(ready);
    for (const name of readdirSync(prebuilt))
      if (LIBRARY.test(name)) linkOrCopy(join(prebuilt, name), join(ready, name));
    for (const name of builtFiles(build, backends)) copyFileSync(name, join(ready, fileName(name)));
    for (const name of kept.flatMap(filesOf)) copyFileSync(join(before.folder, name), join(ready, name));
    const all = [...kept, ...backends].sort();
    writeFileSync(join(ready, FACTS), `${JSON.stringify({ nodeLlamaCpp: nodeLlamaCpp().version, backends: all })}\n`);
    signal.throwIfAborted();
    rmSync(target, { recursive: true, force: true });
    renameSync(ready, target);
    return { folder: target, backends: all };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const off = ["GGML_CPU", "GGML_RPC_RDMA", "GGML_CCACHE", "LLAMA_OPENSSL", "GGML_METAL", "GGML_BLAS"];
const parts = ["TESTS", "EXAMPLES", "SERVER", "APP"].map((name) => `LLAMA_BUILD_${name}`);
/** Names and run paths as those of node-llama-cpp's libraries, which these load beside. */
const OPTIONS = [
  ...["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_BACKEND_DL=ON"],
  ...["-DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON", "-DGGML_METAL_EMBED_LIBRARY=ON"],
  ...(process.platform === "win32"
    ? []
    : [`-DCMAKE_BUILD_RPATH=${process.platform === "darwin" ? "@loader_path" : "$ORIGIN"}`]),
  ...[...off, ...parts].map((name) => `-D${name}=OFF`),
];

const LIBRARY = /\.(so|dylib|dll)$/;

/** Files in the folder of a build that belong to a backend. */
function filesOf(backend) {
  return backend === "rpc" ? [libraryName("rpc"), SERVER, ...REGISTRY] : [libraryName(backend)];
}

/** What the server is linked to: llama.cpp's list of backends, whose name in node-llama-cpp's package has a version. */
const REGISTRY = [{ win32: "ggml.dll", darwin: "libggml.dylib" }[process.platform] ?? "libggml.so"];

function builtFiles(build, backends) {
  const folders = [join(build, "bin", "Release"), join(build, "bin")];
  return backends.flatMap(filesOf).map((name) => {
    const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (found === undefined) throw new Error(`CMake reported success, but ${name} is not in ${folders.join(" or ")}.`);
    return found;
  });
}

function fileName(path) {
  return path.slice(dirname(path).length + 1);
}

/** One file under two names is loaded once. */
function linkOrCopy(from, to) {
  try {
    linkSync(from, to);
  } catch {
    // Another file system, or one without links.
    copyFileSync(from, to);
  }
}

function writableFolder() {
  const reasons = [];
  for (const folder of backendFolders()) {
    try {
      mkdirSync(dirname(folder), { recursive: true });
      accessSync(dirname(folder), constants.W_OK);
      return folder;
    } catch (error) {
      reasons.push(error.message);
    }
  }
  throw new Error(`No folder can be written to: ${reasons.join("; ")}.`);
}

/** CMake's own percentage: `[ 42%] Building ...`, or Ninja's `[5/12] ...`. */
export function progressOf(line) {
  const percent = /^\[ *(\d+)%\]/.exec(line);
  if (percent !== null) return Number(percent[1]) / 100;
  const step = /^\[(\d+)\/(\d+)\]/.exec(line);
  return step === null ? null : Number(step[1]) / Number(step[2]);
}

function runCMake(cmake, args, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    // A group of its own, so that the compilers end with it.
    const child = spawn(cmake, args, { stdio: ["ignore", "pipe", "pipe"], detached: process.platform !== "win32" });
    const stop = () => {
      if (process.platform === "win32") spawn("taskkill", ["/pid", String(child.pid), "/t", "/f"]);
      else process.kill(-child.pid, "SIGTERM");
    };
    signal.addEventListener("abort", stop, { once: true });
    let output = "";
    const read = (text) => {
      const at = output.length;
      output += text;
      for (const line of output
        .slice(output.lastIndexOf("\n", at - 1) + 1)
        .split("\n")
        .slice(0, -1)) {
        const share = progressOf(line);
        if (share !== null) onProgress(share, line.trim());
      }
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.on("error", reject);
    child.on("close", (code) => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else
        reject(
          new Error(
            `${cmake} ${args[0] === "-S" ? "could not configure the build" : "could not build"}:\n${tail(output)}`,
          ),
        );
    });
  });
}

function tail(text) {
  return text.trim().split("\n").slice(-30).join("\n");
}
