import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { headers, librariesFolder, linkedLibraries, nodeLlamaCpp } from "../../native/llama-cpp.mjs";

/** It is compiled here, against what the addon is linked to. */
export const hasFakeGpu = process.platform === "linux";

export function withFakeGpu(title: string): string {
  return hasFakeGpu ? title : `${title} (SKIPPED: the GPU backend for tests is compiled on Linux only)`;
}

/**
 * Compiles `test/fixtures/fake-gpu.cc` as the CUDA backend that `lora-boundary-build --cuda` would put into `folder`.
 * What it does is told by FAKE_GPU in the environment.
 *
 * @returns path of the library
 */
export async function buildFakeGpu(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const source = join(folder, "llama.cpp");
  const includes = headers(source, "git", ["ggml/src/ggml-backend-impl.h"]);
  const libraries = linkedLibraries(librariesFolder()).filter((path) => path.includes("libggml"));
  const library = join(folder, "libggml-cuda.so");
  execFileSync("c++", [
    ...[
      "-std=c++17",
      "-shared",
      "-fPIC",
      "-o",
      library,
      fileURLToPath(new URL("../fixtures/fake-gpu.cc", import.meta.url)),
    ],
    ...[...includes, join(source, "ggml", "src")].map((path) => `-I${path}`),
    ...[...libraries, `-Wl,-rpath,${librariesFolder()}`],
  ]);
  const facts = { nodeLlamaCpp: nodeLlamaCpp().version, backends: ["cuda"] };
  await writeFile(join(folder, "backends.json"), JSON.stringify(facts));
  return library;
}
