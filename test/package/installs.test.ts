import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pack, ROOT, runIn } from "../support/packed-package.js";
import { wholeRegistry } from "../support/whole-registry.js";

/** Each package manager downloads some hundred MB, and builds the addon. */
const asked = process.env["LORA_BOUNDARY_INSTALLS"] === "1";

interface Manager {
  /** What npx runs, and of which package. */
  readonly program: readonly string[];
  readonly noScripts: string;
  /** Whether it must know packages that no machine of this kind installs, see `wholeRegistry`. */
  readonly knowsAll?: boolean;
  /** What its users write into a project's `package.json` and beside it. */
  readonly manifest?: object;
  readonly files?: Readonly<Record<string, string>>;
}

const MANAGERS: Readonly<Record<string, Manager>> = {
  npm: { program: ["npm"], noScripts: "--ignore-scripts" },
  "pnpm 10": {
    program: ["npx", "--yes", "--package", "pnpm@10", "pnpm"],
    noScripts: "--ignore-scripts",
    // It runs the scripts of no other packages than a project names (`pnpm approve-builds` does), a file's by its path.
    manifest: { pnpm: { onlyBuiltDependencies: ["lora-boundary@file:lora-boundary-0.1.0.tgz"] } },
  },
  "yarn 1": { program: ["npx", "--yes", "--package", "yarn@1", "yarn"], noScripts: "--ignore-scripts", knowsAll: true },
  "yarn 4": {
    program: ["npx", "--yes", "--package", "@yarnpkg/cli-dist@4", "yarn"],
    noScripts: "--mode=skip-build",
    knowsAll: true,
    files: {
      "yarn.lock": "",
      ".yarnrc.yml": "nodeLinker: node-modules\nenableScripts: true\nenableImmutableInstalls: false\n",
    },
  },
};

let folder = "";
let tarball = "";
let prebuilt = "";
let environment: NodeJS.ProcessEnv = {};
/** Of managers that know all. */
let wholeEnvironment: NodeJS.ProcessEnv = {};
let yarns: Awaited<ReturnType<typeof wholeRegistry>> | undefined;

async function prepare(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), "pfad mit ümläuten ü "));
  tarball = await pack(folder);
  const built = await runIn(ROOT, process.execPath, ["native/pack-prebuilt.mjs"]);
  expect(built).toMatchObject({ code: 0, stderr: "" });
  const packed = await runIn(folder, "npm", ["pack", "--json", built.stdout.trim()]);
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  prebuilt = join(folder, filename);
  const registry = (await runIn(ROOT, "npm", ["config", "get", "registry"])).stdout.trim();
  const { dependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  yarns = await wholeRegistry(registry, dependencies["node-llama-cpp"] ?? "");
  environment = { ...process.env, npm_config_registry: registry };
  // Yarn 4 reads no settings of npm, and takes a registry without TLS from named hosts alone.
  wholeEnvironment = {
    ...{ ...process.env, npm_config_registry: yarns.url, YARN_REGISTRY: yarns.url },
    ...{ YARN_NPM_REGISTRY_SERVER: yarns.url, YARN_UNSAFE_HTTP_WHITELIST: new URL(yarns.url).hostname },
  };
}

/** An empty project that names the package, and on request the prebuilt addon; @returns what runs a command in it */
async function installed(name: string, manager: Manager, tarballs: readonly string[], scripts: boolean) {
  const app = await mkdtemp(join(folder, `${name} ä `));
  for (const path of tarballs) await copyFile(path, join(app, basename(path)));
  const dependencies = Object.fromEntries(
    tarballs.map((path) => [basename(path).replace(/-\d.*/, ""), `file:./${basename(path)}`]),
  );
  await writeFile(join(app, "package.json"), JSON.stringify({ private: true, dependencies, ...manager.manifest }));
  for (const [file, text] of Object.entries(manager.files ?? {})) await writeFile(join(app, file), text);
  const [command = "", ...args] = manager.program;
  const options = scripts ? [] : [manager.noScripts];
  const env = manager.knowsAll === true ? wholeEnvironment : environment;
  const ended = await runIn(app, command, [...args, "install", ...options], env);
  expect(ended, `${name}: ${ended.stdout}${ended.stderr}`).toMatchObject({ code: 0 });
  return {
    app,
    run: (...words: string[]) => runIn(app, "npx", ["--no-install", "lora-boundary", ...words], env),
  };
}

type Installed = Awaited<ReturnType<typeof installed>>;

function calibrate({ run, app }: Installed) {
  const files = ["base.gguf", "adapter.gguf", "samples.jsonl"];
  const paths = files.map((name) => join(app, "node_modules", "lora-boundary", "models", `demo-${name}`));
  return run("calibrate", ...paths, "--limit", "12", "--margin", "0.1", "--threads", "1", "-o", "klein ü.gguf");
}

async function expectCut(project: Installed): Promise<void> {
  expect(await project.run("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
  expect((await project.run("doctor")).code).toBe(0);
  const ended = await calibrate(project);
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(ended.stdout).toMatch(/loaded by\s+llama\.cpp, largest logit difference 0\./);
  expect((await readFile(join(project.app, "klein ü.gguf"))).subarray(0, 4).toString()).toBe("GGUF");
}

describe.skipIf(!asked)(
  `npm pack in an empty project${asked ? "" : " (SKIPPED: LORA_BOUNDARY_INSTALLS=1 asks for it)"}`,
  { timeout: 900_000 },
  () => {
    beforeAll(prepare);
    afterAll(async () => {
      yarns?.close();
      await rm(folder, { recursive: true, force: true });
    });

    describe.each(Object.entries(MANAGERS))(
      "of %s, below a folder with spaces and letters that are not ASCII",
      (name, manager) => {
        test("builds the addon, and calibrates", async () => {
          await expectCut(await installed(name, manager, [tarball], true));
        });

        test("without scripts says how to build, and does what needs no addon", async () => {
          const project = await installed(name, manager, [tarball], false);
          expect(await project.run("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
          const ended = await calibrate(project);
          expect(ended).toMatchObject({ code: 5, stdout: "" });
          expect(ended.stderr).toMatch(/needs the addon, which has not been built\..*npm rebuild lora-boundary/);
          const adapter = "node_modules/lora-boundary/models/demo-adapter.gguf";
          expect(await project.run("trim", adapter, "--keep", "0-5", "-o", "halb.gguf")).toMatchObject({ code: 0 });
        });

        test("without scripts and with the prebuilt package calibrates", async () => {
          await expectCut(await installed(name, manager, [tarball, prebuilt], false));
        });
      },
    );
  },
);
