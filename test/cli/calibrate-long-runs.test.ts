import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { CalibrationResult } from "../../src/result.js";
import { DEMO, ended, run, start } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";
import { seeded } from "../support/engine-samples.js";

const folder = useFolder();
const ARGS = ["calibrate", DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--limit", "12"];
const QUICK = [...ARGS, "--batch-tokens", "256", "--margin", "0.1"];
const read = (name: string) => readFile(join(folder.path, name));

/** What of a result does not tell when and how it was made. */
async function lasting(name: string) {
  const { createdAt, command, cost, output, ...rest } = JSON.parse(String(await read(name))) as CalibrationResult;
  expect([typeof createdAt, command[0]]).toEqual(["string", "lora-boundary"]);
  return { ...rest, output: output && { ...output, path: "" }, cost: { ...cost, seconds: 0 } };
}

describe("a run that dies", () => {
  it("by kill -9 at random moments, and resumed, gives the same files; never half of one", async () => {
    const cwd = { cwd: folder.path };
    const before = performance.now();
    const whole = await run([...QUICK, "-o", "whole.gguf", "--json", "whole.json"], cwd);
    const duration = performance.now() - before;
    expect(whole.code).toBe(0);

    const random = seeded(7);
    const resume = [...QUICK, "-o", "killed.gguf", "--json", "killed.json", "--resume"];
    let [kills, ends] = [0, 0];
    while (kills < 8 || ends === 0) {
      const child = start(resume, cwd);
      const end = ended(child);
      const timer = kills < 8 ? wait(200 + random() * duration) : end;
      await Promise.race([timer, end]);
      child.kill("SIGKILL");
      const { signal, code } = await end;
      kills += signal === "SIGKILL" ? 1 : 0;
      const [adapter, json] = await Promise.all(
        ["killed.gguf", "killed.json"].map((name) => read(name).catch(() => null)),
      );
      // Whatever stands under a final name is whole.
      if (adapter != null) expect(adapter.equals(await read("whole.gguf"))).toBe(true);
      if (json != null) expect(await lasting("killed.json")).toEqual(await lasting("whole.json"));
      if (signal === "SIGKILL") continue;
      ends += 1;
      expect([code, adapter == null, json == null]).toEqual([0, false, false]);
      const names = (await readdir(folder.path)).filter((name) => name.includes("killed"));
      expect(names.sort()).toEqual(["killed.gguf", "killed.gguf.journal", "killed.json"]);
      for (const name of names) await rm(join(folder.path, name));
    }
  });

  it("a journal cut in the middle of a line is told and mended; a changed input is refused by name", async () => {
    const cwd = { cwd: folder.path };
    await run([...QUICK, "--json", "cut.json"], cwd);
    const journal = await read("cut.json.journal");
    const lines = String(journal).trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(13);
    for (const line of lines) expect(violations(JSON.parse(line) as object, "journal@1")).toEqual([]);
    await writeFile(join(folder.path, "cut.json.journal"), journal.subarray(0, journal.length * 0.7));
    const first = await lasting("cut.json");
    const resumed = await run([...QUICK, "--json", "cut.json", "--resume"], cwd);
    expect(resumed.stderr).toMatch(/line \d+ is cut or damaged; it and what follows it are dropped/);
    expect(await lasting("cut.json")).toEqual(first);

    const unlike = await run([...QUICK, "--limit", "11", "--json", "cut.json", "--resume"], cwd);
    expect(unlike).toMatchObject({ code: 3, stdout: "" });
    expect(unlike.stderr).toMatch(/another run: how samples are read/);
    expect(await lasting("cut.json")).toEqual(first);
  });

  it("begun again without --resume is refused, so that no work is lost by mistake", async () => {
    const cwd = { cwd: folder.path };
    await run([...QUICK, "--json", "again.json"], cwd);
    const lines = String(await read("again.json.journal")).split("\n");
    await writeFile(join(folder.path, "again.json.journal"), `${lines.slice(0, 9).join("\n")}\n`);
    await rm(join(folder.path, "again.json"));
    const again = await run([...QUICK, "--json", "again.json"], cwd);
    expect(again).toMatchObject({ code: 2, stdout: "" });
    expect(again.stderr).toContain("Continue it with --resume, or start over with --force");
  });
});

describe("a run in parts", () => {
  it("on several machines: merged it is the whole, and writes the same file", async () => {
    const cwd = { cwd: folder.path };
    expect((await run([...QUICK, "-o", "one.gguf", "--json", "one.json"], cwd)).code).toBe(0);
    for (const shard of ["1/2", "2/2"]) {
      const done = await run([...QUICK, "--shard", shard, "--json", `part${shard[0] ?? ""}.json`], cwd);
      expect(done.code).toBe(0);
      const part = JSON.parse(String(await read(`part${shard[0] ?? ""}.json`))) as object;
      expect(violations(part)).toEqual([]);
      expect(done.stdout).toMatch(/^Part \d\/2: 18 candidates on \d of 12 samples/);
    }
    const parts = ["part1.json", "part2.json"];
    const merged = await run(
      ["calibrate", "--threads", "1", "-o", "merged.gguf", "--json", "merged.json", "--merge", ...parts],
      cwd,
    );
    expect(merged.code).toBe(0);
    expect(merged.stdout).toContain("loaded by llama.cpp, largest logit difference 0.");
    expect(await lasting("merged.json")).toEqual(await lasting("one.json"));
    expect(violations(JSON.parse(String(await read("merged.json"))) as object)).toEqual([]);
    expect((await read("merged.gguf")).equals(await read("one.gguf"))).toBe(true);

    const half = await run(["calibrate", "--merge", "part2.json"], cwd);
    expect(half).toMatchObject({ code: 3, stdout: "" });
    expect(half.stderr).toContain("--shard 1/2");
  });
});
