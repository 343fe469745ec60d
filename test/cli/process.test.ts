import { execFile, execFileSync } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { copiedProgram, DEMO, ended, MAIN, run, start } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";

const folder = useFolder();
const posix = process.platform !== "win32";

describe("exit codes by error", () => {
  let rounds = 0;
  const program = async (body: string) => {
    const source = `import * as errors from "../errors.js";\nexport async function runProgram(argv, context) { ${body} }`;
    return copiedProgram(join(folder.path, `program-${rounds++}`), { "cli/program.js": source });
  };

  it.each([
    ["UsageError", 2],
    ["InputError", 3],
    ["MemoryError", 4],
    ["BackendError", 5],
    ["VerificationError", 6],
    ["InternalError", 70],
  ])("%s: %d", async (name, exitCode) => {
    const main = await program(`throw new errors.${name}("SOME_CODE", "Something is wrong; mend it.");`);
    const { code, stdout, stderr } = await run([], { main });
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain("Something is wrong; mend it.");
    expect(stderr).not.toContain("SOME_CODE");
    expect(stderr.includes("internal error, please report")).toBe(exitCode === 70);
  });

  it("the command's own, and 130 where it was cancelled", async () => {
    expect((await run([], { main: await program("return 1;") })).code).toBe(1);
    const main = await program("throw new errors.CancelledError();");
    expect(await run([], { main })).toMatchObject({ code: 130, stderr: "error: Cancelled.\n" });
  });

  it("70 for what nobody foresaw, the stack only with --debug", async () => {
    const bodies = {
      thrown: "null.property;",
      later: "setTimeout(() => null.property, 1); await new Promise((resolve) => setTimeout(resolve, 1000));",
      rejected:
        "void Promise.reject(new TypeError('lost')); await new Promise((resolve) => setTimeout(resolve, 1000));",
    };
    for (const body of Object.values(bodies)) {
      const main = await program(body);
      const [plain, debug] = await Promise.all([run([], { main }), run(["--debug"], { main })]);
      expect([plain.code, debug.code]).toEqual([70, 70]);
      expect(plain.stderr).toMatch(/^error: internal error, please report: TypeError: /);
      expect(plain.stderr).toContain("--debug");
      expect(plain.stderr).not.toMatch(/^ +at /m);
      expect(debug.stderr).toMatch(/^ +at /m);
    }
  });

  it("70 for a command that stops without an answer, and for a package with a missing file", async () => {
    const stuck = await run([], { main: await program("await new Promise(() => {});") });
    expect(stuck).toMatchObject({ code: 70, stdout: "" });
    expect(stuck.stderr).toContain("internal error, please report");
    const broken = await run([], { main: await copiedProgram(join(folder.path, "broken"), { "cli/program.js": "}" }) });
    expect(broken).toMatchObject({ code: 70, stdout: "" });
    expect(broken.stderr).toContain("internal error, please report: SyntaxError");
  });

  it("writes all of a long result before it ends", async () => {
    const main = await program("context.stdout('x'.repeat(5e6)); return 1;");
    const { code, stdout } = await run([], { main });
    expect({ code, length: stdout.length }).toEqual({ code: 1, length: 5e6 + 1 });
  });
});

describe("a reader that goes away", () => {
  it("ends quietly", async () => {
    const child = start(["inspect", DEMO.adapter]);
    child.stdout!.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, stderr: "" });
  });

  it.skipIf(!posix)("and in a shell", async () => {
    const line = `"$0" "$1" --help | head -1; exit "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", line, process.execPath, MAIN]);
    expect({ stdout, stderr }).toEqual({ stdout: "Usage: lora-boundary [options] [command]\n", stderr: "" });
  });

  it.skipIf(!existsSync("/dev/full"))("a result that cannot be written is not done: 5", async () => {
    const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      execFile(
        "sh",
        ["-c", '"$0" "$1" inspect "$2" > /dev/full', process.execPath, MAIN, DEMO.adapter],
        (error, _, err) => {
          resolve({ code: Number(error?.code ?? 0), stderr: err });
        },
      );
    });
    expect(code).toBe(5);
    expect(stderr).toContain("could not be written to stdout");
  });
});

describe.skipIf(!posix)("signals", () => {
  const row = `${JSON.stringify({ text: "a".repeat(1000) })}\n`;
  beforeAll(() => {
    for (const name of ["int", "term", "stuck"]) execFileSync("mkfifo", [join(folder.path, name)]);
  });

  it.each([
    ["SIGINT", "int"],
    ["SIGTERM", "term"],
  ] as const)("%s stops the work: 130", async (signal, name) => {
    const child = start(["doctor", DEMO.base, DEMO.adapter, join(folder.path, name)]);
    const result = ended(child);
    // Opening waits for the reader, so the program is at work when the first rows are through.
    const pipe = createWriteStream(join(folder.path, name));
    pipe.on("error", () => undefined);
    await new Promise((resolve) => pipe.write(row.repeat(300), resolve));
    child.kill(signal);
    const feeding = setInterval(() => pipe.write(row.repeat(300)), 50);
    const { code, stdout, stderr } = await result;
    clearInterval(feeding);
    pipe.destroy();
    expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: "", stderr: "error: Cancelled.\n" });
  });

  it("a second Ctrl-C ends at once what does not listen", async () => {
    const fifo = join(folder.path, "stuck");
    const child = start(["doctor", DEMO.base, DEMO.adapter, fifo]);
    const result = ended(child);
    const pipe = createWriteStream(fifo);
    pipe.on("error", () => undefined);
    // Through once it has been opened at the other end; then nothing more comes.
    await new Promise((resolve) => pipe.write(row, resolve));
    child.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(child.exitCode).toBe(null);
    child.kill("SIGINT");
    // Bash shows it as 130.
    expect(await result).toMatchObject({ code: null, signal: "SIGINT", stdout: "" });
    pipe.destroy();
  });
});

describe("what help, inspect and trim need", () => {
  const commands = (target: string) => [
    ["--help"],
    ["--version"],
    ["trim", "--help"],
    ["inspect", DEMO.adapter],
    ["trim", DEMO.adapter, "--keep", "0-3", "-o", target, "--force"],
  ];

  it("no addon: the module that loads it is not even read", async () => {
    const main = await copiedProgram(join(folder.path, "no-addon"), {
      "native/binding.js":
        "throw new Error('the addon was asked for'); export const loadAddon = 0, backendLibrary = 0, builtBackends = 0, requireAddonBuilt = 0;",
    });
    for (const args of commands(join(folder.path, "a.gguf"))) {
      expect(await run(args, { main })).toMatchObject({ code: 0, stderr: "" });
    }
    expect((await run(["doctor"], { main })).stderr).toContain("the addon was asked for");
  });

  it("doctor on files: whether the addon is there, without loading it", async () => {
    const main = await copiedProgram(join(folder.path, "not-loaded"), {
      "native/binding.js":
        "export const loadAddon = () => { throw new Error('the addon was asked for'); };" +
        "export const backendLibrary = () => null, builtBackends = () => null, requireAddonBuilt = async () => undefined;",
    });
    const { code, stdout } = await run(["doctor", join(folder.path, "a.gguf"), "--json"], { main });
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 0, addon: "built", engine: null });
    expect((await run(["doctor"], { main })).stderr).toContain("the addon was asked for");
  });

  it("less than 0.3 s of processor time", async () => {
    const probe = await folder.write(
      "probe.cjs",
      `process.on("exit", () => {
        const { user, system } = process.cpuUsage();
        require("node:fs").writeFileSync(process.env.PROBE + "/" + process.pid, String((user + system) / 1e6));
      });`,
    );
    const probes = join(folder.path, "probes");
    execFileSync("mkdir", [probes]);
    const env = { NODE_OPTIONS: `--require ${probe}`, PROBE: probes };
    for (const args of commands(join(folder.path, "b.gguf"))) {
      const before = new Set(await readdir(probes));
      for (let round = 0; round < 5; round++) expect((await run(args, { env })).code).toBe(0);
      const fresh = (await readdir(probes)).filter((name) => !before.has(name));
      const seconds = await Promise.all(fresh.map(async (name) => Number(await readFile(join(probes, name), "utf8"))));
      const [, , median] = seconds.sort((a, b) => a - b);
      expect(seconds).toHaveLength(5);
      expect(median, args.join(" ")).toBeLessThan(0.3);
    }
  });
});
