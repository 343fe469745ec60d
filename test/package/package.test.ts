import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
  return new Promise<Outcome>((resolve) => {
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The package as npm packs it, unpacked where a user's `node_modules` would have it, beside this checkout's dependencies. */
let folder = "";
let installed = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lora-boundary-package-"));
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root);
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  await mkdir(join(folder, "node_modules"));
  await run("tar", ["-xzf", join(folder, filename), "-C", join(folder, "node_modules")], folder);
  installed = join(folder, "node_modules", "lora-boundary");
  await run("mv", [join(folder, "node_modules", "package"), installed], folder);
  for (const name of await readdir(join(root, "node_modules"))) {
    if (!name.startsWith(".")) await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A folder with node alone on its path: no compiler, no CMake, no git. */
async function bareEnvironment(): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  await symlink(process.execPath, join(bin, "node")).catch(() => undefined);
  return { PATH: bin, HOME: folder };
}

describe("the packed package", () => {
  it("holds what running needs and nothing of the tests", async () => {
    const names = await readdir(installed, { recursive: true });
    for (const name of [
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "native/CMakeLists.txt",
      "native/build-program.mjs",
      "binding.gyp",
    ]) {
      expect(names).toContain(name);
    }
    expect(names.filter((name) => /^(test|bench|src)\/|native\/build\//.test(name))).toEqual([]);
  });

  it("brings the program that builds backends, which names a missing tool", async () => {
    const { bin } = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as {
      readonly bin: Readonly<Record<string, string>>;
    };
    const program = bin["lora-boundary-build"] ?? "";
    const help = await run(process.execPath, [program, "--help"], installed);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("Usage: lora-boundary-build");
    const bare = await run(process.execPath, [program, "--rpc"], installed, await bareEnvironment());
    expect(bare.code).toBe(5);
    expect(bare.stderr).toMatch(/error: Git is missing\. Install it with: .+git/i);
  });

  it("without any tool the install goes on and says what is missing and how to get it", async () => {
    const { code, stderr } = await run(
      process.execPath,
      ["native/build.mjs", "--or-explain"],
      installed,
      await bareEnvironment(),
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/addon was not built\. Git is missing\. Install it with: .+git/i);
    expect(stderr).toContain("npm rebuild lora-boundary");
  });

  it("without the addon calibrate ends with 5 and the missing tool, and files still work", async () => {
    const env = await bareEnvironment();
    const model = (name: string) => join(installed, "models", name);
    const files = [model("demo-base.gguf"), model("demo-adapter.gguf"), model("demo-samples.jsonl")];
    const main = join(installed, "dist", "cli", "main.js");
    const calibrate = await run(process.execPath, [main, "calibrate", ...files], folder, env);
    expect(calibrate.code).toBe(5);
    expect(calibrate.stderr).toMatch(/needs the addon, which has not been built\. Git is missing/);
    const small = join(folder, "small.gguf");
    const trim = await run(process.execPath, [main, "trim", files[1]!, "--keep", "0-5", "-o", small], folder, env);
    expect(trim.code).toBe(0);
    expect((await run(process.execPath, [main, "inspect", small], folder, env)).stdout).toContain("0-5");
    expect((await run(process.execPath, [main, "doctor", ...files], folder, env)).code).toBe(0);
  });

  it("builds, and a program that imports it calibrates the demo and writes the adapter", async () => {
    const built = await run(process.execPath, ["native/build.mjs"], installed);
    expect(built.stderr).toBe("");
    expect(built.code).toBe(0);
    const program = join(folder, "program.mjs");
    await writeFile(
      program,
      `import { calibrate, loadModel, readSamples, writeAdapter } from "lora-boundary";
       const [base, source, data] = process.argv.slice(2);
       const model = await loadModel(base);
       const adapter = await model.loadAdapter(source);
       const samples = await readSamples(data, model, { limit: 12 });
       const result = await calibrate(adapter, samples, { threads: 1 });
       await writeAdapter(source, { layerScales: [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0] }, "from-api.gguf");
       await model.dispose();
       console.log(JSON.stringify({ replay: result.engine.replay, curve: result.candidates.length }));`,
    );
    const files = ["demo-base.gguf", "demo-adapter.gguf", "demo-samples.jsonl"];
    const { stdout, stderr } = await run(
      process.execPath,
      [program, ...files.map((name) => join(installed, "models", name))],
      folder,
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({ replay: "exact", curve: 13 });
    expect((await readFile(join(folder, "from-api.gguf"))).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("has types that a strict TypeScript program compiles against", async () => {
    const program = join(folder, "program.ts");
    await writeFile(
      program,
      `import { calibrate, loadModel, readSamples, writeAdapter, type CalibrationResult } from "lora-boundary";
       export async function small(base: string, source: string, data: string): Promise<CalibrationResult> {
         await using model = await loadModel(base);
         await using adapter = await model.loadAdapter(source);
         const samples = await readSamples(data, model);
         const result = await calibrate(adapter, samples, { onProgress: ({ done, total }) => done / total });
         if (result.selected) await writeAdapter(source, result.selected.candidate, "small.gguf");
         return result;
       }`,
    );
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const options = [
      "--strict",
      "--noEmit",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--lib",
      "es2023,esnext.disposable",
    ];
    await cp(join(root, "node_modules", "@types"), join(folder, "types"), { recursive: true });
    const { stdout } = await run(process.execPath, [tsc, ...options, "--types", "node", program], dirname(program));
    expect(stdout).toBe("");
  });
});
