import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { firstRows } from "../support/engine-trio.js";
import { PLAIN_TEXT } from "../support/guard-rows.js";
import { violations } from "../support/json-schemas.js";

const root = useFolder();
let folder = "";
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const calibrate = (...args: string[]) =>
  run(["calibrate", DEMO.base, DEMO.adapter, "samples.jsonl", "--threads", "1", "--batch-tokens", "192", ...args], {
    cwd: folder,
  });

beforeAll(async () => {
  folder = join(root.path, "guard");
  await mkdir(folder);
  await writeFile(join(folder, "samples.jsonl"), lines(await firstRows(DEMO.samples, 12)));
  await writeFile(join(folder, "general.jsonl"), lines(PLAIN_TEXT));
  await writeFile(join(folder, "task.jsonl"), lines((await firstRows(DEMO.samples, 72)).slice(60)));
});

describe("calibrate --guard", () => {
  it("selects what is not worse on both sets; terminal, page, JSON and file tell both", async () => {
    const margins = ["--margin", "0.3", "--guard", "general.jsonl", "--guard-margin", "0.05"];
    const outputs = ["-o", "small.gguf", "--json", "result.json", "--report", "page.html"];
    const { code, stdout, stderr } = await calibrate(...margins, ...outputs);
    expect(code).toBe(0);
    expect(stderr.replaceAll("\n", " ")).toMatch(
      / Guard: 16 samples, scored at the end for what could be selected: at most \d+\.\d passes over them, /,
    );
    expect(stderr).toMatch(
      /^Guard: 5 candidates could be selected; scoring them takes \d+\.\d passes over the guard set\.$/m,
    );
    const text = stdout.replaceAll("\n", " ");
    expect(text).toContain(
      "on 16 samples of general.jsonl, what is selected may add at most 5.0 % to the full adapter's NLL.",
    );
    expect(text).toContain(
      "upto:8 is proven not to be worse. Not selected for it: upto:7 is not proven to be no worse there (adds",
    );
    expect(stdout).toMatch(/^ {2}upto:8 +\d+\.\d{4} {2}-?\d+\.\d \(-\d+\.\d to \d+\.\d\) +not-worse$/m);
    const result = JSON.parse(await readFile(join(folder, "result.json"), "utf8")) as CalibrationResult;
    expect(violations(result)).toEqual([]);
    expect(result).toMatchObject({
      selected: { candidate: { id: "upto:8" } },
      guard: { path: "general.jsonl", samples: 16 },
    });
    const page = await readFile(join(folder, "page.html"), "utf8");
    expect(page).toContain("The guard set");
    expect(page).toContain("upto:7 is not proven to be no worse there");

    const told = await run(["report", "result.json"], { cwd: folder });
    expect(told.stdout.replaceAll("\n", " ")).toContain("upto:8 is proven not to be worse.");
    const trimmed = await run(["trim", DEMO.adapter, "--from", "result.json", "-o", "again.gguf"], { cwd: folder });
    expect(trimmed.stdout.replaceAll("\n", " ")).toContain("; on the guard set: not-worse.");
    const [first, second] = [await readFile(join(folder, "small.gguf")), await readFile(join(folder, "again.gguf"))];
    expect(second.equals(first)).toBe(true);
    const other = ["trim", DEMO.adapter, "--from", "result.json", "--candidate", "upto:7", "-o", "seven.gguf"];
    expect((await run(other, { cwd: folder })).code).toBe(0);
    const { stdout: inspected } = await run(["inspect", "seven.gguf"], { cwd: folder });
    expect(inspected).toMatch(/^ +verdict +not-worse$/m);
    expect(inspected).toMatch(/^ +judged\.guard +unproven$/m);
  });

  it("writes nothing and exits with 1 where the guard lets none pass", async () => {
    const { code, stdout } = await calibrate("--margin", "0.3", "--guard", "task.jsonl", "-o", "none.gguf");
    expect(code).toBe(1);
    expect(stdout.replaceAll("\n", " ")).toContain(
      "What the samples would allow (upto:7, upto:8, upto:9 and 2 more) is proven worse on the guard set. The full adapter stays; nothing is written.",
    );
    expect(await readdir(folder)).not.toContain("none.gguf");
  });

  it("is part of --dry-run", async () => {
    const { code, stdout } = await calibrate("--guard", "general.jsonl", "--dry-run", "--json", "-");
    expect(code).toBe(0);
    const plan = JSON.parse(stdout) as { readonly guard: unknown };
    expect(violations(plan)).toEqual([]);
    expect(plan).toMatchObject({
      guard: { samples: 16, independentSamples: 16, seconds: expect.any(Number) as number },
    });
  });

  it.each([
    ["the samples as their own guard", ["--guard", "./samples.jsonl"], 2, "for both: a guard is of another kind"],
    [
      "a margin out of range",
      ["--guard", "general.jsonl", "--guard-margin", "1"],
      2,
      "between 0 and 1 for `guardMargin`",
    ],
    ["a margin without a guard", ["--guard-margin", "0.1"], 2, "a `guard` set beside it"],
    ["other columns", ["--guard", "columns.jsonl"], 3, "columns.jsonl"],
    ["no file", ["--guard", "nowhere.jsonl"], 3, "nowhere.jsonl"],
    ["the guard as output", ["--guard", "general.jsonl", "-o", "general.jsonl"], 2, "general.jsonl"],
  ])("refuses %s", async (_, args, exitCode, message) => {
    await writeFile(join(folder, "columns.jsonl"), lines([{ question: "a", reply: "b" }]));
    const { code, stdout, stderr } = await calibrate(...args);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("refuses a guard with --merge", async () => {
    const { code, stderr } = await run(["calibrate", "--merge", "a.json", "--guard", "general.jsonl"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain("--budget and --guard");
  });
});
