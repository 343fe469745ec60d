import { spawn } from "node:child_process";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, ended, MAIN, run, start, type Ended } from "../support/cli-process.js";
import { jsonl, useFolder } from "../support/data-files.js";
import { header, model } from "../support/gguf-files.js";

const folder = useFolder();
const FILES = [DEMO.base, DEMO.adapter, DEMO.samples];
/** llama.cpp's threads wait for each other busily, and tests run side by side. */
const QUICK = ["--threads", "1", "--limit", "24"];

const calibrate = (...args: string[]) => run(["calibrate", ...args], { cwd: folder.path });

async function resultIn(name: string): Promise<CalibrationResult> {
  return JSON.parse(await readFile(join(folder.path, name), "utf8")) as CalibrationResult;
}

function refused({ code, stdout, stderr }: Ended, exitCode: number, message: string): void {
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/^ +at /m);
}

describe("the main job", () => {
  it("writes the smaller adapter, proves it, and says so in words, table, chart and JSON: exit 0", async () => {
    const done = await calibrate(...FILES, ...QUICK, "-o", "small.gguf", "--margin", "0.1", "--json", "small.json");
    expect(done.code).toBe(0);
    expect(done.stderr).toMatch(/^Samples: 24, .*\nWork: 13 candidates in \d+\.\d passes instead of 13\.0\./);
    expect(done.stderr).toContain("Memory beyond the model:");
    expect(done.stderr).toContain("Smallest difference that can be shown:");
    expect(done.stdout).toMatch(/► upto:\d+ /);
    expect(done.stdout).toContain("kept % by boundary, shaded: bounds, line: margin");
    expect(done.stdout).toContain("loaded by llama.cpp, largest logit difference 0.");
    expect(done.stdout).toMatch(/\n {2}llama-cli [^]*--lora small\.gguf\n {2}llama-server [^]*--lora small\.gguf\n$/);

    const result = await resultIn("small.json");
    expect(result).toMatchObject({
      schema: "lora-boundary/calibration@1",
      model: { architecture: "llama", layers: 12 },
      data: { samples: 24, path: DEMO.samples },
      margin: 0.1,
      engine: { replay: "exact", threads: 1, backend: "CPU" },
      output: { path: "small.gguf", verified: true, maxLogitDifference: 0 },
    });
    expect(result.candidates.map(({ id }) => id)).toEqual(Array.from({ length: 13 }, (_, b) => `upto:${b}`));
    expect(result.candidates.every(({ perSample }) => perSample.length === 24)).toBe(true);
    expect(result.command.slice(0, 2)).toEqual(["lora-boundary", "calibrate"]);
    const kept = result.candidates.find(({ id }) => id === result.selected?.candidate.id)!.adaptedLayers;
    const inspected = await run(["inspect", "small.gguf", "--json"], { cwd: folder.path });
    expect((JSON.parse(inspected.stdout) as { file: { layers: unknown[] } }).file.layers).toHaveLength(kept);
    expect(result.output!.bytes).toBe((await readFile(join(folder.path, "small.gguf"))).length);
  });

  it("gives the same JSON twice, but for time", async () => {
    const once = async (name: string) => {
      await calibrate(...FILES, "--threads", "1", "--limit", "10", "--seed", "3", "--json", name);
      const { createdAt, command, cost, ...rest } = await resultIn(name);
      expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT/);
      expect(command).toContain(name);
      return { ...rest, passes: cost.passes };
    };
    expect(await once("first.json")).toEqual(await once("second.json"));
  });

  it("writes nothing where every cut loses more than the margin, and says how much: exit 1", async () => {
    const { code, stdout } = await calibrate(...FILES, ...QUICK, "-o", "none.gguf", "--margin", "0.001");
    expect(code).toBe(1);
    expect(stdout).toMatch(/Every cut loses at least \d+\.\d % of the adapter's\s+gain\./);
    expect(stdout).toMatch(/The\s+full\s+adapter\s+stays;\s+nothing\s+is\s+written\./);
    expect(await readdir(folder.path)).not.toContain("none.gguf");
  });

  it("--json - is JSON alone on stdout", async () => {
    const { code, stdout } = await calibrate(...FILES, "--threads", "1", "--limit", "9", "--json", "-");
    expect([0, 1]).toContain(code);
    expect((JSON.parse(stdout) as CalibrationResult).data.samples).toBe(9);
  });
});

describe.skipIf(process.platform === "win32")("a target that cannot be filled", () => {
  it("the result is told all the same, then the error: exit 5, nothing half-written", async () => {
    const command = ["calibrate", ...FILES, ...QUICK, "--margin", "0.1", "-o", "full.gguf", "--json", "-"];
    // No file may grow beyond 100 KiB.
    const args = ["-c", 'ulimit -f 100; exec "$@"', "sh", process.execPath, MAIN, ...command];
    const { code, stdout, stderr } = await ended(spawn("bash", args, { cwd: folder.path }));
    expect(code).toBe(5);
    expect(stderr).toContain("the disk is full");
    const result = JSON.parse(stdout) as CalibrationResult;
    expect({ output: result.output, chosen: result.selected !== null }).toEqual({ output: null, chosen: true });
    expect((await readdir(folder.path)).filter((name) => name.includes("full.gguf"))).toEqual(["full.gguf.journal"]);
  });
});

describe("the gate", () => {
  const rows = Array.from({ length: 12 }, (_, index) => ({
    text: `Mara was a young baker who lived in Norbury. She had ${index + 2} apples and a little dog.`,
  }));

  it("an adapter that makes these samples worse: likely causes, nothing written, exit 3", async () => {
    const samples = await folder.write("stories.jsonl", jsonl(...rows));
    const { code, stdout, stderr } = await calibrate(
      DEMO.base,
      DEMO.adapter,
      samples,
      "--threads",
      "1",
      "-o",
      "no.gguf",
    );
    expect(code).toBe(3);
    expect(stdout).toMatch(/proven no better than the base model/);
    expect(stdout).toContain("Likely causes:");
    expect(stderr).toContain("To go on all the same: --force.");
    expect(await readdir(folder.path)).not.toContain("no.gguf");
  });

  it("--force goes on, marked", async () => {
    const samples = await folder.write("forced.jsonl", jsonl(...rows));
    const args = [DEMO.base, DEMO.adapter, samples, "--threads", "1", "--force", "--json", "forced.json"];
    const { code } = await calibrate(...args);
    expect([0, 1]).toContain(code);
    expect((await resultIn("forced.json")).gate).toMatchObject({ passed: false, forced: true, failure: "no-gain" });
  });
});

describe("looking before it runs", () => {
  it("--dry-run prints the estimate only", async () => {
    const { code, stdout, stderr } = await calibrate(...FILES, ...QUICK, "--dry-run");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^Samples: 24,[^]*Time: about [^]*Smallest difference that can be shown: about [^]*\n$/);
    expect(stdout).not.toContain("upto:");
  });

  it("--show-sample prints one sample token by token, scored ones in brackets", async () => {
    const { code, stdout } = await calibrate(...FILES, "--show-sample", "2");
    expect(code).toBe(0);
    const rows = (await readFile(DEMO.samples, "utf8")).trim().split("\n");
    const { completion } = JSON.parse(rows[1]!) as { completion: string };
    const scored = [...stdout.matchAll(/^\[(.*)\]$/gm)].map(([, text]) => text!).join("");
    expect(scored.replaceAll("|", "").replaceAll("·", " ")).toBe(completion);
    refused(await calibrate(...FILES, "--show-sample", "121"), 2, "from 1 to 120 for `--show-sample` but received 121");
  });
});

describe("Ctrl-C", () => {
  it("stops within a second, says what is known, exits 130, and leaves its journal alone", async () => {
    const before = await readdir(folder.path);
    const args = [...FILES, "--threads", "1", "--batch-tokens", "128", "-o", "cancelled.gguf"];
    const child = start(["calibrate", ...args], { cwd: folder.path });
    const end = ended(child);
    const journal = join(folder.path, "cancelled.gguf.journal");
    // Two batches, of two to four samples each.
    while (!/"batch":2,/.test(await readFile(journal, "utf8").catch(() => ""))) await wait(20);
    const asked = performance.now();
    child.kill("SIGINT");
    const { code, stdout, stderr } = await end;
    expect(performance.now() - asked).toBeLessThan(1000);
    expect(code).toBe(130);
    expect(stderr).toContain("Cancelled.");
    expect(stdout).toMatch(/^Known so far, from \d+ of 120 samples/);
    expect(await readdir(folder.path)).toEqual([...before, "cancelled.gguf.journal"].sort());
  });
});

describe("bad input", () => {
  const bad: readonly (readonly [name: string, args: readonly string[], code: number, message: string])[] = [
    ["no arguments", [], 2, "received nothing: missing required argument 'base'"],
    ["swapped files", [DEMO.adapter, DEMO.base, DEMO.samples], 3, "give the base model first"],
    ["no samples file", [DEMO.base, DEMO.adapter, "missing.jsonl"], 3, "Expected a samples file at missing.jsonl"],
    ["margin", [...FILES, "--margin", "1"], 2, "between 0 and 1 for `margin` but received 1"],
    ["confidence", [...FILES, "--confidence", "0"], 2, "between 0 and 1 for `confidence` but received 0"],
    ["two files", FILES.slice(0, 2), 2, "missing required argument 'samples'"],
    ["a part without --json", [...FILES, "--shard", "1/2"], 2, "Expected `--json` with `--shard`"],
    ["a part that writes", [...FILES, "--shard", "1/2", "-o", "p.gguf"], 2, "give it to --merge"],
    ["a part of what", [...FILES, "--shard", "1of2", "--json", "p.json"], 2, "such as 2/3"],
    ["merging with files", [...FILES, "--merge", "p.json"], 2, "the files of parts alone with `--merge`"],
    [
      "merging with a seed",
      ["--merge", "p.json", "--seed", "1"],
      2,
      "leave out other files, --shard, --resume, --seed",
    ],
    [
      "a part of a race",
      [...FILES, "--shard", "1/2", "--json", "p.json", "--strategy", "race"],
      2,
      "--strategy exhaustive",
    ],
    ["merging nothing", ["--merge", "p.json"], 3, "p.json: there is no such file"],
    ["resuming from where", [...FILES, "--resume"], 2, "which name the journal"],
    ["resuming without", [...FILES, "--resume", "--no-journal", "-o", "x.gguf"], 2, "which name the journal"],
    ["journal is output", [...FILES, "--journal", "x.gguf", "-o", "x.gguf"], 2, "another file than x.gguf"],
    ["journal is input", [...FILES, "--journal", DEMO.samples], 2, "never written over"],
    ["goal", [...FILES, "--goal", "speed"], 2, "Allowed choices are economy, quality"],
    ["threads", [...FILES, "--threads", "0"], 2, "for `threads` but received 0"],
    ["template variables", [...FILES, "--template-vars", "{"], 2, "a JSON object for `--template-vars`"],
    ["template file", [...FILES, "--chat-template", "no/such.jinja"], 3, "no/such.jinja cannot be read"],
    ["template name", [...FILES, "--chat-template", "nosuch"], 2, "chatTemplate"],
    ["empty output", [...FILES, "-o", ""], 2, "a file name for `--output` but received nothing"],
    ["output to stdout", [...FILES, "-o", "-"], 2, "stdout, which cannot be checked"],
    ["output over an input", [...FILES, "-o", DEMO.adapter, "--force"], 2, "never written over"],
    ["one file twice", [...FILES, "-o", "x.gguf", "--json", "x.gguf"], 2, ""],
    ["no folder", [...FILES, "-o", "no/folder/x.gguf"], 5, "its folder does not exist"],
  ];
  it.each(bad)("%s", async (_, args, code, message) => {
    refused(await calibrate(...args), code, message);
  });

  it("a model larger than the memory is refused before it is loaded: needed, free, what to try; exit 4", async () => {
    const rows = 2 ** 17;
    const columns = Math.ceil((1.5 * totalmem()) / 2 / rows / 256) * 256;
    const head = header({
      ...model(1),
      tensors: [{ name: "blk.0.ffn_down.weight", shape: [columns, rows], type: "F16", data: Buffer.alloc(0) }],
    });
    const path = await folder.write("huge.gguf", head);
    // A file with a hole: it takes no room on the disk.
    await truncate(path, head.length + 64 + 2 * columns * rows);
    const before = performance.now();
    const done = await calibrate(path, DEMO.adapter, DEMO.samples);
    refused(done, 4, "huge.gguf: The weights need about");
    expect(done.stderr).toMatch(/GiB of memory but only .* are free\. .*--gpu-layers.*smaller quantisation.*--rpc/);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it("a bad line names file and line; one sample is too few; an existing target needs --force", async () => {
    const broken = await folder.write("broken.jsonl", `${jsonl({ text: "a b c" })}{"text": \n`);
    refused(await calibrate(DEMO.base, DEMO.adapter, broken), 3, "broken.jsonl, line 2");
    const one = await folder.write("one.jsonl", jsonl({ prompt: "Data:", completion: " The Red Fox is an inn." }));
    refused(await calibrate(DEMO.base, DEMO.adapter, one, "--threads", "1"), 3, "at least 2 independent samples");
    await writeFile(join(folder.path, "taken.gguf"), "mine");
    refused(await calibrate(...FILES, "-o", "taken.gguf"), 2, "--force");
    expect(await readFile(join(folder.path, "taken.gguf"), "utf8")).toBe("mine");
  });
});
