import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Recipe } from "../../src/recipe/recipe.js";
import type { VerificationResult } from "../../src/recipe/verification.js";
import { DEMO, run, type Ended } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { violations } from "../support/json-schemas.js";

const folder = useFolder();
/** The recipe's own files, in folders beside it. */
const NAMES = { base: "models/base.gguf", adapter: "models/adapter.gguf", samples: "data/samples.jsonl" } as const;
const inPlace = (name: string) => join(folder.path, "place", name);

const calibrate = (...args: string[]) =>
  run(["calibrate", ...Object.values(NAMES), "--threads", "1", "--limit", "12", "--margin", "0.1", ...args], {
    cwd: inPlace(""),
  });
/** From another folder than the recipe's. */
const verify = (...args: string[]) => run(["verify", ...args], { cwd: folder.path });

async function recipe(): Promise<Recipe> {
  return JSON.parse(await readFile(inPlace("recipe.json"), "utf8")) as Recipe;
}

/** The recipe with some of it changed, beside the original. */
async function changed(change: (recipe: Recipe) => object): Promise<string> {
  const original = await recipe();
  await writeFile(inPlace("changed.json"), JSON.stringify({ ...original, ...change(original) }));
  return "place/changed.json";
}

async function newAdapter(name: string, keep: string): Promise<string> {
  const { code } = await run(["trim", DEMO.adapter, "--keep", keep, "-o", join(folder.path, name)]);
  expect(code).toBe(0);
  return name;
}

const failedChecks = ({ stdout }: Ended) => stdout.split("\n").filter((line) => line.startsWith("FAILED"));

beforeAll(async () => {
  await mkdir(inPlace("models"), { recursive: true });
  await mkdir(inPlace("data"));
  for (const [key, name] of Object.entries(NAMES)) await copyFile(DEMO[key as keyof typeof DEMO], inPlace(name));
  const { code } = await calibrate("--recipe", "recipe.json");
  expect(code).toBe(0);
});

describe("a recipe", () => {
  it("holds paths relative to itself, scales in the grammar, and the scores of base, full and cut", async () => {
    const made = await recipe();
    expect(violations(made)).toEqual([]);
    expect(made.model.path).toBe(NAMES.base);
    expect(made.adapter.path).toBe(NAMES.adapter);
    expect(made.samples).toMatchObject({ path: NAMES.samples, reading: { limit: 12 } });
    expect(made.cut.scales).toMatch(/^upto:\d+$/);
    expect(made.engine).toMatchObject({ backend: "CPU", rankMultiple: 16 });
    const mean = (scores: readonly number[]) => scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const { base, full, cut } = made.scores;
    expect([base, full, cut].map(({ length }) => length)).toEqual([12, 12, 12]);
    expect(mean(base)).toBeGreaterThan(mean(cut) + 5);
    expect(mean(cut)).toBeGreaterThan(mean(full));
  });

  it("is made again in another place: the same tensors, the very same scores, exit 0 and a line per check", async () => {
    await rename(inPlace(""), join(folder.path, "moved"));
    const there = await verify("moved/recipe.json", "--json", "verified.json", "--junit", "verified.xml");
    await rename(join(folder.path, "moved"), inPlace(""));
    expect(there.code).toBe(0);
    expect(there.stdout.split("\n").slice(0, 4)).toEqual([
      expect.stringMatching(/^ok {5}the file is made again, every tensor byte the same .* difference 0$/),
      expect.stringMatching(/^ok {5}the adapter is better than the base model: \+\d/),
      expect.stringMatching(/^ok {5}the cut is not worse than the adapter in full: -0\.\d+/),
      expect.stringMatching(/^ok {5}the cut is not worse than the recorded cut: \+0\.0000 \[\+0\.0000, \+0\.0000\]/),
    ]);
    expect(there.stdout).toContain("The recipe holds.");
    const result = JSON.parse(await readFile(join(folder.path, "verified.json"), "utf8")) as VerificationResult;
    expect(violations(result)).toEqual([]);
    expect(result.scores.now).toEqual((await recipe()).scores);
    expect(result).toMatchObject({ passed: true, adapter: { isNew: false }, engine: { changes: [] } });
    const xml = await readFile(join(folder.path, "verified.xml"), "utf8");
    expect(xml).toContain('<testsuites tests="4" failures="0">');
    expect(xml.match(/<testcase /g)).toHaveLength(4);
  });

  it("is not written over another file, and not without a proven cut", async () => {
    expect(await calibrate("--recipe", "recipe.json")).toMatchObject({ code: 2, stdout: "" });
    const none = await calibrate("--recipe", "none.json", "--margin", "0.001");
    expect(none.code).toBe(1);
    expect(none.stderr).toContain("No recipe is written: no cut is proven.");
    await expect(readFile(inPlace("none.json"))).rejects.toThrow("ENOENT");
  });

  it.each([
    [
      ["--objective", "rouge-l"],
      "Expected the objective nll for a recipe but received rouge-l: verify scores the losses",
    ],
    [["--shard", "1/2", "--json", "part.json"], "Expected no `--recipe` with `--shard` but received one"],
  ])("is refused with %j before anything is scored", async (options, sentence) => {
    const ended = await calibrate("--recipe", "other.json", ...options);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr.replaceAll("\n", " ")).toContain(sentence);
    const merged = await run(["calibrate", "--merge", "part1.json", "--recipe", "other.json"]);
    expect(merged).toMatchObject({ code: 2, stderr: expect.stringContaining("with `--merge`") as string });
  });
});

describe("another adapter", () => {
  it("that computes the same passes", async () => {
    const same = await newAdapter("same.gguf", "all");
    const { code, stdout } = await verify("place/recipe.json", "--adapter", same);
    expect({ code, failed: failedChecks({ stdout } as Ended) }).toEqual({ code: 0, failed: [] });
    expect(stdout).toContain("the scales make a smaller file of the new adapter");
  });

  it("that lives in the layers which the cut drops fails, and only those checks that say so: exit 6", async () => {
    const upper = await newAdapter("upper.gguf", "0-9=0.3,10-11=1");
    const ended = await verify("place/recipe.json", "--adapter", upper, "--junit", "upper.xml");
    expect(ended.code).toBe(6);
    expect(failedChecks(ended).join("\n")).toMatch(/the cut is worse than the recorded cut/);
    expect(ended.stdout).toContain("The recipe does not hold.");
    expect(await readFile(join(folder.path, "upper.xml"), "utf8")).toMatch(/<testcase [^>]*name="recorded"><failure /);
  });

  it("needs the recorded one where the engine has changed since, and only then", async () => {
    const other = await changed(({ engine }) => ({ engine: { ...engine, llamaCpp: "0.0.1" } }));
    const same = await newAdapter("again.gguf", "full");
    const rescored = await verify(other, "--adapter", same);
    expect(rescored.code).toBe(0);
    expect(rescored.stdout.replaceAll("\n", " ")).toMatch(/scored anew, because of: llama\.cpp \(0\.0\.1, now \d/);
    await rename(inPlace(NAMES.adapter), inPlace("hidden.gguf"));
    try {
      expect((await verify("place/recipe.json", "--adapter", same)).code).toBe(0);
      const missing = await verify(other, "--adapter", same);
      expect(missing.code).toBe(3);
      expect(missing.stderr).toContain(`${NAMES.adapter}: there is no such file`);
    } finally {
      await rename(inPlace("hidden.gguf"), inPlace(NAMES.adapter));
    }
  });
});

describe("what no longer holds", () => {
  it("other tensors than the recorded ones, and a recorded cut that was better, fail: exit 6", async () => {
    const file = await verify(await changed(({ cut }) => ({ cut: { ...cut, tensorsSha256: "0".repeat(64) } })));
    expect(file.code).toBe(6);
    expect(failedChecks(file)).toEqual(["FAILED the recorded scales no longer make the recorded file"]);
    const better = await changed(({ scores }) => ({ scores: { ...scores, cut: scores.cut.map((it) => it - 2) } }));
    const worse = await verify(better);
    expect(worse.code).toBe(6);
    expect(failedChecks(worse)).toEqual([
      expect.stringMatching(/^FAILED the cut is worse than the recorded cut: -2\.0000/),
    ]);
  });

  it("files that changed are all named: exit 3, and nothing is computed", async () => {
    const samples = await readFile(inPlace(NAMES.samples));
    const adapter = await readFile(inPlace(NAMES.adapter));
    await writeFile(inPlace(NAMES.samples), Buffer.concat([samples, Buffer.from("\n")]));
    const damaged = Buffer.from(adapter);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    await writeFile(inPlace(NAMES.adapter), damaged);
    try {
      const { code, stdout, stderr } = await verify("place/recipe.json");
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toContain(`${inPlace(NAMES.adapter)}, ${inPlace(NAMES.samples)}: put the old ones back`);
    } finally {
      await writeFile(inPlace(NAMES.samples), samples);
      await writeFile(inPlace(NAMES.adapter), adapter);
    }
    await rm(inPlace("changed.json"), { force: true });
  });

  it("a file that is no recipe: exit 3, and where it is wrong", async () => {
    const result = await folder.write("other.json", '{"schema": "lora-boundary/calibration@1"}');
    expect(await verify(result)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("expected `schema` to be lora-boundary/recipe@1") as string,
    });
    const short = await verify(await changed(({ scores }) => ({ scores: { ...scores, full: [1] } })));
    expect(short).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("for `scores.full` but received 1") as string,
    });
  });
});
