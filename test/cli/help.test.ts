import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEMO, ROOT, run } from "../support/cli-process.js";

const COMMANDS = ["analyze", "evaluate", "generate", "report", "trim", "inspect", "doctor"];
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };

describe("help", () => {
  it("names every command, teaches by examples and lists the exit codes", async () => {
    const { code, stdout, stderr } = await run(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +[a-z]`, "m"));
    expect(stdout).toContain("lora-boundary trim adapter.gguf --keep 0-17 -o small.gguf");
    for (const exitCode of [0, 1, 2, 3, 4, 5, 6, 70, 130]) {
      expect(stdout).toMatch(new RegExp(`^  ${exitCode} +[a-z]`, "m"));
    }
  });

  it.each(COMMANDS)("of %s, under both spellings, has usage, examples and exit codes", async (command) => {
    const [option, word] = await Promise.all([run([command, "--help"]), run(["help", command])]);
    expect(option).toMatchObject({ code: 0, stderr: "" });
    expect(word).toEqual(option);
    expect(option.stdout).toContain(`Usage: lora-boundary ${command} `);
    expect(option.stdout).toContain("[options]");
    expect(option.stdout).toContain(`    lora-boundary ${command} `);
    expect(option.stdout).toContain("Exit codes:");
    expect(option.stdout).toContain("--debug");
  });

  it("fits 80 columns, but for lines to copy", async () => {
    for (const args of [["--help"], ...COMMANDS.map((command) => [command, "--help"])]) {
      const { stdout } = await run(args);
      const prose = stdout.split("\n").filter((line) => !line.startsWith("    lora-boundary "));
      expect(prose.filter(({ length }) => length > 80)).toEqual([]);
    }
  });

  it("prints the version", async () => {
    expect(await run(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe("wrong usage: 2, nothing on stdout", () => {
  it("no command: the help on stderr", async () => {
    const { code, stdout, stderr } = await run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: lora-boundary");
  });

  it.each([
    ["a command mistyped", ["trin"], "(Did you mean trim?)"],
    ["an option mistyped", ["trim", "a.gguf", "--keep", "1", "--outptu", "b"], "(Did you mean --output?)"],
    ["an option that lacks its value", ["trim", "a.gguf", "--keep"], "argument missing"],
    ["a missing argument", ["inspect"], "missing required argument 'file'"],
    ["an argument too many", ["inspect", "a.gguf", "b.gguf", "c.gguf"], "too many arguments"],
    ["--json that would take the file for itself", ["inspect", "--json", DEMO.base], "after --json"],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^Help: lora-boundary .*--help$/m);
    expect(stderr).not.toContain("    at ");
  });

  it("shows no control characters of the command line", async () => {
    const { stderr } = await run(["\u001b[2Jtrim"]);
    expect(stderr).toContain("\\x1b[2Jtrim");
    expect(stderr).not.toContain("\u001b");
  });
});

describe("colours", () => {
  const bold = "\u001b[1m";
  it.each([
    ["none without a terminal", [], {}, false],
    ["FORCE_COLOR", [], { FORCE_COLOR: "1" }, true],
    ["NO_COLOR before FORCE_COLOR", [], { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
    ["--no-color before FORCE_COLOR", ["--no-color"], { FORCE_COLOR: "1" }, false],
  ])("%s", async (_, flags, env, colored) => {
    const file = await run(["inspect", DEMO.adapter, ...flags], { env });
    const help = await run([...flags, "--help"], { env });
    expect([file.stdout.includes(bold), help.stdout.includes(bold)]).toEqual([colored, colored]);
    expect([file.code, file.stderr, help.code]).toEqual([0, "", 0]);
  });
});
