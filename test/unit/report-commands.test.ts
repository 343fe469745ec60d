import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { commandLines, shellQuoted } from "../../src/report/commands.js";
import { displayWidth, styleOf } from "../../src/report/text.js";
import { results, WRITTEN } from "../support/report-results.js";

const posix = process.platform !== "win32";
const haveBash = posix && spawnSync("bash", ["-c", "true"]).status === 0;

/** What a shell passes to a program for each quoted argument, bytes as UTF-8. */
function readBack(shell: "sh" | "bash", quoted: readonly string[]): string[] {
  const { status, stdout, stderr } = spawnSync(shell, ["-c", `printf '%s\\0' ${quoted.join(" ")}`], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: "/expanded", LC_ALL: "C" },
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout.split("\0").slice(0, -1);
}

const ordinary = [
  "small.gguf",
  "/a/b-c_d.e,f:g@h%i+j",
  "with space",
  "  two  spaces  ",
  "",
  "it's",
  "''",
  `"double"`,
  "`id`",
  "$(id)",
  "$HOME",
  "~",
  "~/x",
  "a;id",
  "a&b|c>d<e",
  "*",
  "?[a]{b,c}",
  "#comment",
  "!history",
  "=ls",
  "a=b",
  "back\\slash",
  "\\",
  "tail\\",
  "%s",
  "\u00e9\u6f22\u{1f600}",
  "e\u0301",
];
const control = [
  "a\nb",
  "\n",
  "trailing\n",
  "tab\there",
  "\u001b[2J",
  "\u001bff",
  "\u00010",
  "'\u0007'",
  "\\\u0007\\",
  "\u007f",
  "a\u202egnp",
  "a\u200e\u200f\u061c\ufeff\u00ad",
  "line\u2028separator",
  "\u{1f468}\u200d\u{1f4bb}",
  "$HOME\n$(id)",
];

describe.skipIf(!posix)("shellQuoted round-trips", () => {
  test("through sh, whatever stands in the name", () => {
    expect(
      readBack(
        "sh",
        ordinary.map((argument) => shellQuoted(argument, "posix")),
      ),
    ).toEqual(ordinary);
  });

  test.skipIf(!haveBash)("through bash, control characters included", () => {
    const all = [...ordinary, ...control];
    expect(
      readBack(
        "bash",
        all.map((argument) => shellQuoted(argument, "posix")),
      ),
    ).toEqual(all);
  });

  test.skipIf(!haveBash)("every single byte that an argument can hold", () => {
    const all = Array.from({ length: 255 }, (_, index) => `x${String.fromCharCode(index + 1)}0`);
    expect(
      readBack(
        "bash",
        all.map((argument) => shellQuoted(argument, "posix")),
      ),
    ).toEqual(all);
  });

  test("a leading dash becomes a path, not an option", () => {
    expect(readBack("sh", [shellQuoted("-rf", "posix"), shellQuoted("--lora x", "posix")])).toEqual([
      "./-rf",
      "./--lora x",
    ]);
  });
});

describe("shellQuoted", () => {
  test("leaves ordinary paths alone", () => {
    expect(shellQuoted("models/a-1.gguf", "posix")).toBe("models/a-1.gguf");
    expect(shellQuoted("C:\\models\\a.gguf", "windows")).toBe("C:\\models\\a.gguf");
  });

  test.each([...control, "lone \ud83d surrogate"])("shows no raw control character: %j", (argument) => {
    for (const shell of ["posix", "windows"] as const) {
      expect(shellQuoted(argument, shell)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }
  });

  test("windows: double quotes, which a path cannot hold", () => {
    expect(shellQuoted("my file.gguf", "windows")).toBe('"my file.gguf"');
    expect(shellQuoted('a"b', "windows")).toBe('"ab"');
    expect(shellQuoted("", "windows")).toBe('""');
  });
});

describe("commandLines", () => {
  const written = { ...results.selected, output: { ...WRITTEN, path: "my out/it's.gguf" } };

  test("nothing written, nothing to load", () => {
    expect(commandLines({ ...written, output: null }, styleOf({ width: 80 }))).toEqual([]);
  });

  test("one line each where they fit", () => {
    expect(commandLines(written, styleOf({ width: 80 }))).toEqual([
      "  llama-cli -m base.gguf --lora 'my out/it'\\''s.gguf'",
      "  llama-server -m base.gguf --lora 'my out/it'\\''s.gguf'",
    ]);
  });

  test.skipIf(!posix)("broken lines are one command for the shell, with the same arguments", () => {
    for (const width of [20, 30, 54, 200]) {
      const lines = commandLines(written, styleOf({ width }));
      const functions = ["cli", "server"].map((name) => `${name}() { printf '%s\\n' "${name}:$#" "$@"; }`);
      // Names of POSIX functions hold no dash.
      const runnable = [...functions, ...lines].join("\n").replaceAll("llama-", "");
      const { stdout, stderr } = spawnSync("sh", ["-c", runnable], { encoding: "utf8" });
      expect(stderr).toBe("");
      expect(stdout.split("\n").slice(0, -1)).toEqual(
        ["cli", "server"].flatMap((name) => [`${name}:4`, "-m", "base.gguf", "--lora", "my out/it's.gguf"]),
      );
    }
  });

  test("width is counted in columns, not in characters", () => {
    const wide = { ...written, output: { ...WRITTEN, path: "\u6f22".repeat(20) } };
    const [whole] = commandLines(wide, styleOf({ width: 1000 }));
    expect(commandLines(wide, styleOf({ width: displayWidth(whole!) }))[0]).toBe(whole);
    const broken = commandLines(wide, styleOf({ width: displayWidth(whole!) - 1 }));
    expect(broken[0]).toBe("  llama-cli \\");
    // The longer program is broken as well.
    expect(broken).toHaveLength(6);
  });

  test("windows shells continue no line with a backslash", () => {
    const lines = commandLines(written, styleOf({ width: 20, shell: "windows" }));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe(`  llama-cli -m base.gguf --lora "my out/it's.gguf"`);
  });
});
