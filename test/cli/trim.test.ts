import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { run, type Ended } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf, model, pair, value, withKey, type Contents } from "../support/gguf-files.js";

const root = useFolder();
let folder = "";
let rounds = 0;
beforeEach(async () => {
  folder = join(root.path, `${rounds++}`);
  await mkdir(folder);
  await writeFile(join(folder, "adapter.gguf"), gguf(adapter([0, 1, 2, 3])));
});

/** A model whose heads are known. */
const headed = (contents: Contents) => withKey(contents, "llama.attention.head_count", value.u32(2));
const trim = (...args: string[]) => run(["trim", ...args], { cwd: folder });
const names = () => readdir(folder);

function refused({ code, stdout, stderr }: Ended, exitCode: number, message: string): void {
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
  expect(stderr).toMatch(/^error: /);
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/^ +at /m);
}

describe("what it writes", () => {
  it("the kept layers, and says what it did and how the file loads", async () => {
    const { code, stdout, stderr } = await trim("adapter.gguf", "--keep", "0-1", "-o", "small.gguf");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Kept: LoRA in 2 layers (0-1), 160 of 320 parameters.");
    expect(stdout).toContain("Dropped: LoRA in 2 layers (2-3): 8 tensors.");
    expect(stdout).toContain("Checked: read again from disk");
    expect(stdout).toContain("\n  llama-cli -m BASE.gguf --lora small.gguf\n");
    expect(stdout).toContain("\n  llama-server -m BASE.gguf --lora small.gguf\n");
    const inspected = await run(["inspect", "small.gguf", "--json"], { cwd: folder });
    expect(JSON.parse(inspected.stdout)).toMatchObject({ file: { layers: [{ layer: 0 }, { layer: 1 }] } });
  });

  it("says which pairs outside the layers went with them", async () => {
    const { metadata, tensors } = adapter([0, 1]);
    const more = [...tensors, ...pair("output.weight", [8, 12])];
    await writeFile(join(folder, "adapter.gguf"), gguf({ metadata, tensors: more }));
    const { stdout } = await trim("adapter.gguf", "--keep", "0", "-o", "small.gguf");
    expect(stdout).toContain("outside the layers output.weight: 6 tensors.");
  });

  it("quotes a name for the shell and shows its control characters escaped", async () => {
    const { code, stdout } = await trim("adapter.gguf", "--keep", "0", "-o", "it's\u001b[2J small.gguf");
    expect(code).toBe(0);
    expect(stdout).toContain("--lora $'it\\'s\\x1b[2J small.gguf'");
    expect(stdout).not.toContain("\u001b");
  });

  it("strengths of every layer, from the grammar or a file of names, always written out", async () => {
    await writeFile(join(folder, "names.json"), '{"light": "without:1*1.5"}');
    const light = await trim("adapter.gguf", "--keep", "light", "--presets", "names.json", "-o", "light.gguf");
    expect(light).toMatchObject({ code: 0, stderr: "" });
    expect(light.stdout).toContain("Strengths: 0=1.5, 1=0, 2-3=1.5 (without:1*1.5).\n");
    const mixed = await trim("adapter.gguf", "--keep", "0-1=1,attention:*=0.5,ffn:*=0", "-o", "m.gguf", "--json", "-");
    expect(JSON.parse(mixed.stdout)).toMatchObject({
      scales: { layerScales: [1, 1, 0.5, 0.5], feedForwardScales: [1, 1, 0, 0], inputScale: 1, outputScale: 0.5 },
      scalesText: "0-1=1,attention:2-3=0.5,ffn:2-3=0",
      baked: ["blk.2.attn_q.weight", "blk.3.attn_q.weight"],
      verified: true,
    });
    const difference = await run(["inspect", "adapter.gguf", "m.gguf"], { cwd: folder });
    expect(difference.stdout).toContain("the second is the first at 0-1=1,attention:2-3=0.5,ffn:2-3=0");
    expect((await run(["inspect", "m.gguf"], { cwd: folder })).stdout).toContain("0-1=1,attention:2-3=0.5,ffn:2-3=0");
  });

  it("a PEFT folder beside the GGUF file, which it reads again with the base model", async () => {
    await writeFile(join(folder, "base.gguf"), gguf(headed(model(4))));
    const args = ["--base", "base.gguf", "--keep", "0-1", "-o", "small.gguf", "--peft", "small"];
    const { code, stdout } = await trim("adapter.gguf", ...args);
    expect(code).toBe(0);
    expect(stdout).toContain("Written as PEFT too: small, ");
    expect((await readdir(join(folder, "small"))).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    const cache = { LORA_BOUNDARY_CACHE: join(folder, "cache") };
    const back = await run(["trim", "small", "--base", "base.gguf", "--keep", "all", "-o", "back.gguf"], {
      cwd: folder,
      env: cache,
    });
    expect(back.code).toBe(0);
    const difference = await run(["inspect", "small.gguf", "back.gguf"], { cwd: folder });
    expect(difference.stdout).toContain("tensors    8 the same, 0 changed, 0 added, 0 removed");
  });

  it("ranks padded with zeros, and says so of itself", async () => {
    const { code, stdout } = await trim("adapter.gguf", "--keep", "all", "--pad-rank", "16", "-o", "fast.gguf");
    expect(code).toBe(0);
    expect(stdout).toContain("Strengths: 0-3=1 (full).");
    // Seven in eight of the padded ranks' parameters are the padding's.
    const told = /([\d,]+) of ([\d,]+)\s+parameters,\s+and\s+([\d,]+)\s+zeros that/.exec(stdout) ?? [];
    const [kept, source, zeros] = told.slice(1).map((number) => Number(number.replaceAll(",", "")));
    expect([kept, zeros]).toEqual([source, 7 * Number(source)]);
    const inspected = await run(["inspect", "fast.gguf", "--json"], { cwd: folder });
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      file: {
        rank: 16,
        alpha: 128,
        provenance: { "lora_boundary.padded_rank": 16, "lora_boundary.layer_scales": "full" },
      },
    });
  });

  it("as JSON alone, or beside the text in a file", async () => {
    const alone = await trim("adapter.gguf", "--keep", "0-1", "-o", "a.gguf", "--json", "-");
    expect(alone).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(alone.stdout)).toMatchObject({
      ...{ schema: "lora-boundary/trim@1", path: "a.gguf", keptLayers: [0, 1], droppedLayers: [2, 3], verified: true },
    });
    const both = await trim("adapter.gguf", "--keep", "0-1", "-o", "b.gguf", "--json", "b.json");
    expect(both.stdout).toMatch(/^Kept: /);
    const written = JSON.parse(await readFile(join(folder, "b.json"), "utf8")) as unknown;
    expect(written).toMatchObject({ path: "b.gguf", keptLayers: [0, 1] });
    expect((await names()).sort()).toEqual(["a.gguf", "adapter.gguf", "b.gguf", "b.json"]);
  });
});

describe("wrong usage: 2, and nothing is written", () => {
  it.each([
    ["no --keep", ["-o", "s.gguf"], "for `--keep` but received nothing"],
    ["no --output", ["--keep", "0"], "for `--output` but received nothing"],
    ["no layers", ["--keep", "", "-o", "s.gguf"], "Expected a selection of layers such as `0-17`"],
    ["a range backwards", ["--keep", "2-1", "-o", "s.gguf"], "a range that runs upwards but received 2-1"],
    ["layers that it does not have", ["--keep", "0-17", "-o", "s.gguf"], "has LoRA in layers 0-3"],
    ["an unknown name", ["--keep", "lihgt", "-o", "s.gguf"], "received `lihgt` at character 1 of `lihgt`"],
    ["a strength that is none", ["--keep", "0-3=NaN", "-o", "s.gguf"], "received `NaN` at character 5"],
    ["nothing kept", ["--keep", "base", "-o", "s.gguf"], "that is the base model"],
    ["a PEFT folder without the base model", ["--keep", "0", "-o", "s.gguf", "--peft", "p"], "give it with `--base`"],
    ["no rank to pad to", ["--keep", "0", "--pad-rank", "0", "-o", "s.gguf"], "whole number from 1 to 1024"],
    ["no name for the output", ["--keep", "0", "-o", ""], "Expected a file name for `--output` but received nothing"],
    ["stdout for the output", ["--keep", "0", "-o", "-"], "stdout, which cannot be read again"],
    ["one name twice", ["--keep", "0", "-o", "s.gguf", "--json", "./s.gguf"], "after --json"],
    ["one name twice, without a telling ending", ["--keep", "0", "-o", "s", "--json", "./s"], "Expected another file"],
    ["the input as output", ["--keep", "0", "-o", "./adapter.gguf", "--force"], "this is the input"],
    ["a folder as output", ["--keep", "0", "-o", "."], "received a folder"],
  ])("%s", async (_, args, message) => {
    const result = await trim("adapter.gguf", ...args);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe("");
    expect(result.stderr).toContain(message);
    expect(await names()).toEqual(["adapter.gguf"]);
  });

  it("a target that exists, until --force", async () => {
    await writeFile(join(folder, "small.gguf"), "mine");
    refused(await trim("adapter.gguf", "--keep", "0", "-o", "small.gguf"), 2, "--force");
    expect(await readFile(join(folder, "small.gguf"), "utf8")).toBe("mine");
    expect((await trim("adapter.gguf", "--keep", "0", "-o", "small.gguf", "--force")).code).toBe(0);
    expect((await readFile(join(folder, "small.gguf"))).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("a JSON file that exists stops it before the adapter is written", async () => {
    await writeFile(join(folder, "result.json"), "mine");
    const args = ["adapter.gguf", "--keep", "0", "-o", "small.gguf", "--json", "result.json"];
    refused(await trim(...args), 2, "result.json: there is such a file already");
    expect((await names()).sort()).toEqual(["adapter.gguf", "result.json"]);
  });

  it.skipIf(process.platform === "win32")("the input behind a link as JSON file", async () => {
    await symlink(join(folder, "adapter.gguf"), join(folder, "link.json"));
    const args = ["adapter.gguf", "--keep", "0", "-o", "small.gguf", "--json", "link.json", "--force"];
    refused(await trim(...args), 2, "this is the input");
  });
});

describe("bad input: 3", () => {
  it("a base model in place of the adapter", async () => {
    await writeFile(join(folder, "base.gguf"), gguf(model()));
    refused(await trim("base.gguf", "--keep", "0", "-o", "small.gguf"), 3, "received a model");
  });

  it("a file of names with a typo", async () => {
    await writeFile(join(folder, "names.json"), '{"light": "wihtout:1"}');
    const args = ["adapter.gguf", "--keep", "light", "--presets", "names.json", "-o", "small.gguf"];
    refused(await trim(...args), 3, "received `:` at character 8 of `wihtout:1` (preset `light`)");
  });

  it("a file that is not there", async () => {
    refused(await trim("nope.gguf", "--keep", "0", "-o", "small.gguf"), 3, "nope.gguf: there is no such file");
  });
});

describe("what cannot be written: 5", () => {
  it("into a folder that does not exist", async () => {
    refused(await trim("adapter.gguf", "--keep", "0", "-o", "no/small.gguf"), 5, "Create the folder first");
  });

  // Root may write everywhere.
  it.skipIf(process.platform === "win32" || process.getuid?.() === 0)("into a folder without permission", async () => {
    await mkdir(join(folder, "locked"));
    await chmod(join(folder, "locked"), 0o500);
    const result = await trim("adapter.gguf", "--keep", "0", "-o", "locked/small.gguf");
    refused(result, 5, "Check the permissions of its folder");
  });
});
