import { access, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeLlamaCpp } from "../../native/llama-cpp.mjs";
import { buildFakeGpu, hasFakeGpu, withFakeGpu } from "../support/fake-gpu.js";
import { pack, ROOT, runIn, unpackInto } from "../support/packed-package.js";

/** Every consumer lives below a folder with a space and letters that are not ASCII. */
let folder = "";
let app = "";
let installed = "";
let tarball = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lora boundary ä 漢 "));
  app = join(folder, "an app");
  await mkdir(app);
  tarball = await pack(folder);
  installed = await unpackInto(app, tarball);
  // As published: no addon is built here, it comes in a package of its own.
  const built = await runIn(installed, process.execPath, ["native/pack-prebuilt.mjs"]);
  expect(built).toMatchObject({ code: 0, stderr: "" });
  const prebuilt = built.stdout.trim();
  await cp(prebuilt, join(app, "node_modules", basename(prebuilt)), { recursive: true });
  await rm(join(installed, "native", "build"), { recursive: true });
  await writeFile(join(app, "package.json"), '{"name": "app", "private": true, "type": "module"}');
  await mkdir(join(app, "node_modules", ".bin"));
  // As npm links it.
  await symlink("../lora-boundary/dist/cli/main.js", join(app, "node_modules", ".bin", "lora-boundary"));
  await runIn(app, "chmod", ["+x", join(installed, "dist", "cli", "main.js")]);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const model = (name: string) => join(installed, "models", `demo-${name}`);
const files = () => [model("base.gguf"), model("adapter.gguf"), model("samples.jsonl")];

async function runProgram(name: string, source: string): Promise<unknown> {
  await writeFile(join(app, name), source);
  const { stdout, stderr } = await runIn(app, process.execPath, [name, ...files()]);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as unknown;
}

/** An ES module's text: mean NLL of two samples under the full adapter, exported as a function. */
const SCORE = `import { loadModel, readSamples, scaleCandidates } from "lora-boundary";
  export async function score([base, source, data]) {
    const model = await loadModel(base);
    const adapter = await model.loadAdapter(source);
    const { samples } = await readSamples(data, model, { limit: 2 });
    const candidate = { id: "full", family: "scale", layerScales: Array(12).fill(1), inputScale: 1, outputScale: 1 };
    const [scores] = await adapter.score(samples, [candidate], { threads: 1 });
    await model.dispose();
    return [...scores];
  }`;

describe("the packed package in an app", () => {
  it("takes the addon of the prebuilt package: the install builds nothing, another llama.cpp's is not used", async () => {
    const install = await runIn(installed, process.execPath, ["native/build.mjs", "--or-explain"]);
    expect(install).toEqual({ code: 0, stdout: "", stderr: "" });
    await expect(access(join(installed, "native", "build"))).rejects.toThrow("ENOENT");
    const doctor = () => runIn(app, process.execPath, [join(installed, "dist", "cli", "main.js"), "doctor"]);
    expect((await doctor()).code).toBe(0);
    const manifest = join(app, "node_modules", `lora-boundary-${process.platform}-${process.arch}`, "package.json");
    const text = await readFile(manifest, "utf8");
    await writeFile(manifest, text.replace(/"nodeLlamaCpp": "[^"]+"/, '"nodeLlamaCpp": "0.0.1"'));
    const other = await doctor();
    await writeFile(manifest, text);
    expect(other.code).toBe(5);
  });

  it("publint and are-the-types-wrong find nothing", async () => {
    const bin = (name: string) => join(ROOT, "node_modules", ".bin", name);
    const lint = await runIn(folder, bin("publint"), [tarball, "--strict"]);
    expect(lint).toMatchObject({ code: 0 });
    expect(lint.stdout).toContain("All good!");
    // ESM only: CommonJS is told to use `import()`.
    const types = await runIn(folder, bin("attw"), [tarball, "--profile", "esm-only", "--no-color", "--no-emoji"]);
    expect(types).toMatchObject({ code: 0 });
    expect(types.stdout).toMatch(/node16 \(from ESM\) │ OK \(ESM\)/);
  });

  it("the command line runs through npx", async () => {
    const version = await runIn(app, "npx", ["--no-install", "lora-boundary", "--version"]);
    expect(version).toMatchObject({ code: 0, stdout: "0.1.0\n" });
    const inspected = await runIn(app, "npx", ["--no-install", "lora-boundary", "inspect", model("adapter.gguf")]);
    expect(inspected.stdout).toContain("0-11");
  });

  it("scores in a worker thread, in several models at once and beside the app's own node-llama-cpp, all the same bits", async () => {
    await writeFile(join(app, "score.js"), SCORE);
    const worker = `import { parentPort, workerData } from "node:worker_threads";
      import { score } from "./score.js";
      parentPort.postMessage(await score(workerData));`;
    await writeFile(join(app, "worker.js"), worker);
    const answers = (await runProgram(
      "all.js",
      `import { once } from "node:events";
       import { Worker } from "node:worker_threads";
       import { getLlama } from "node-llama-cpp";
       import { score } from "./score.js";
       const files = process.argv.slice(2);
       const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "disabled" });
       const own = await llama.loadModel({ modelPath: files[0], gpuLayers: 0 });
       const alone = await score(files);
       const together = await Promise.all([score(files), score(files), score(files)]);
       const worker = new Worker(new URL("worker.js", import.meta.url), { workerData: files });
       const [threaded] = await once(worker, "message");
       await own.dispose();
       console.log(JSON.stringify({ alone, together, threaded }));
       process.exit(0);`,
    )) as { alone: number[]; together: number[][]; threaded: number[] };
    expect(answers.alone).toHaveLength(2);
    expect(answers.alone.every((nll) => nll > 0 && nll < 1)).toBe(true);
    expect(answers.together).toEqual([answers.alone, answers.alone, answers.alone]);
    expect(answers.threaded).toEqual(answers.alone);
  });

  it("works in a bundle of esbuild, as an external", async () => {
    await writeFile(join(app, "score.js"), SCORE);
    await writeFile(
      join(app, "main.js"),
      `import { score } from "./score.js"; console.log(JSON.stringify(await score(process.argv.slice(2))));`,
    );
    const esbuild = join(ROOT, "node_modules", ".bin", "esbuild");
    const args = ["main.js", "--bundle", "--platform=node", "--format=esm", "--external:lora-boundary"];
    const bundled = await runIn(app, esbuild, [...args, "--outfile=bundle.js"]);
    expect(bundled.code).toBe(0);
    const { stdout } = await runIn(app, process.execPath, ["bundle.js", ...files()]);
    expect(JSON.parse(stdout)).toHaveLength(2);
  });

  it("CommonJS reaches it through import(), and through require() where Node.js can require ES modules", async () => {
    const asked = await runProgram(
      "main.cjs",
      `import("lora-boundary").then(({ calibrate }) => {
         const isRequired = process.features.require_module === true;
         const required = isRequired ? require("lora-boundary").calibrate === calibrate : null;
         console.log(JSON.stringify({ imported: typeof calibrate, isRequired, required }));
       });`,
    );
    expect(asked).toMatchObject({ imported: "function" });
    const { isRequired, required } = asked as { isRequired: boolean; required: boolean | null };
    expect(required).toBe(isRequired ? true : null);
  });

  it.skipIf(!hasFakeGpu)(
    withFakeGpu("tries a GPU before it is used, from a worker thread, a bundle and CommonJS: an abort is an error"),
    async () => {
      const { version } = nodeLlamaCpp();
      const cache = join(folder, "cache");
      await buildFakeGpu(join(cache, "lora-boundary", `${version}-${process.platform}-${process.arch}`));
      const env = (gpu: string) => ({ ...process.env, XDG_CACHE_HOME: cache, FAKE_GPU: gpu });
      const attempt = (load: string) => `${load}.then(async ({ loadModel }) => {
        const gpu = await loadModel(${JSON.stringify(model("base.gguf"))}, { gpu: "cuda" }).then(
          async (model) => { await model.dispose(); return model.placement.devices; }, ({ code }) => code);
        console.log(JSON.stringify(gpu));
      });`;
      const here = 'import("lora-boundary")';
      await writeFile(join(app, "gpu.cjs"), attempt(here));
      await writeFile(join(app, "gpu-worker.js"), attempt(here));
      await writeFile(
        join(app, "gpu-threads.js"),
        'import { Worker } from "node:worker_threads"; new Worker(new URL("gpu-worker.js", import.meta.url));',
      );
      await writeFile(
        join(app, "gpu-main.js"),
        `import * as all from "lora-boundary"; ${attempt("Promise.resolve(all)")}`,
      );
      const bundling = ["gpu-main.js", "--bundle", "--platform=node", "--format=esm", "--external:lora-boundary"];
      const esbuild = join(ROOT, "node_modules", ".bin", "esbuild");
      expect(await runIn(app, esbuild, [...bundling, "--outfile=gpu-bundle.js"])).toMatchObject({ code: 0 });
      for (const program of ["gpu.cjs", "gpu-threads.js", "gpu-bundle.js"]) {
        const tried = (gpu: string) => runIn(app, process.execPath, [program], env(gpu));
        expect(await tried("works")).toEqual({ code: 0, stdout: '["CUDA0"]\n', stderr: "" });
        expect(await tried("aborts")).toEqual({ code: 0, stdout: '"GPU_FAILED"\n', stderr: "" });
      }
    },
  );

  it.each([
    ["node16", "node16"],
    ["esnext", "bundler"],
  ])("has types under module %s with resolution %s", async (module, resolution) => {
    await writeFile(
      join(app, "types.mts"),
      `import { calibrate, verifyRecipe, type CalibrationResult } from "lora-boundary";
       export const gain = (result: CalibrationResult): number => result.gate.gain.mean;
       // @ts-expect-error a threshold is a number
       void calibrate(undefined as never, undefined as never, { margin: "much" });
       export const passed: Promise<boolean> = verifyRecipe("r.json").then((it) => it.passed);`,
    );
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2023,esnext.disposable"];
    const args = [
      tsc,
      ...options,
      "--module",
      module,
      "--moduleResolution",
      resolution,
      "--types",
      "node",
      "types.mts",
    ];
    expect(await runIn(app, process.execPath, args)).toMatchObject({ code: 0, stdout: "" });
  });
});
