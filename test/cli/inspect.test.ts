import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf, split, model, u64, value, withKey } from "../support/gguf-files.js";

const folder = useFolder();
const inspect = (...args: string[]) => run(["inspect", ...args], { cwd: folder.path });

describe("what it shows", () => {
  it("an adapter and a model", async () => {
    const [lora, base] = await Promise.all([inspect(DEMO.adapter), inspect(DEMO.base)]);
    expect([lora.code, lora.stderr, base.code, base.stderr]).toEqual([0, "", 0, ""]);
    expect(lora.stdout).toMatch(/^LoRA adapter\n/);
    expect(base.stdout).toMatch(/^Base model\n/);
  });

  it("JSON alone on stdout with --json, with or without -", async () => {
    for (const args of [
      [DEMO.base, "--json"],
      [DEMO.base, "--json", "-"],
      ["--json", "-", DEMO.base],
    ]) {
      const { code, stdout, stderr } = await inspect(...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(stdout)).toMatchObject({ schema: "lora-boundary/inspect@1", file: { kind: "model" } });
    }
  });

  it("JSON in a file beside the text", async () => {
    const { code, stdout } = await inspect(DEMO.adapter, "--json", "adapter.json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^LoRA adapter\n/);
    const json = JSON.parse(await readFile(join(folder.path, "adapter.json"), "utf8")) as unknown;
    expect(json).toMatchObject({ file: { kind: "adapter" } });
    expect(await inspect(DEMO.adapter, "--json", "adapter.json")).toMatchObject({ code: 2, stdout: "" });
    expect((await inspect(DEMO.adapter, "--json", "adapter.json", "--force")).code).toBe(0);
  });

  it("64-bit integers of the metadata as numbers where exact, else as text", async () => {
    const small = withKey(adapter(), "lora_boundary.small", value.u64(5n));
    const large = withKey(small, "lora_boundary.large", value.array(10, [u64(2n ** 63n)]));
    await folder.write("wide.gguf", gguf(large));
    const { code, stdout } = await inspect("wide.gguf", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: { provenance: { "lora_boundary.small": 5, "lora_boundary.large": ["9223372036854775808"] } },
    });
  });
});

describe("bad input: 3, said in one sentence with what to do", () => {
  beforeAll(async () => {
    const whole = gguf(adapter());
    await folder.write("empty.gguf", "");
    await folder.write("truncated.gguf", whole.subarray(0, whole.length - 100));
    await folder.write("header.gguf", whole.subarray(0, 60));
    await folder.write("pointer.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    await folder.write("text.gguf", "hello there");
    await folder.write("part-00001-of-00002.gguf", gguf(split(model(), 2)[0]!));
    await mkdir(join(folder.path, "peft"));
    await writeFile(join(folder.path, "peft", "adapter_config.json"), "{}");
    await folder.write("\u001b[2J.gguf", "");
  });

  it.each([
    ["missing.gguf", "there is no such file"],
    ["", "there is no such file"],
    ["empty.gguf", "received an empty file; download it again"],
    ["truncated.gguf", "truncated.gguf"],
    ["header.gguf", "download or copy it again"],
    ["pointer.gguf", "run `git lfs pull`"],
    ["text.gguf", "not `GGUF`"],
    ["part-00001-of-00002.gguf", "part 2 is missing"],
    ["peft", "convert_lora_to_gguf.py"],
    ["\u001b[2J.gguf", "\\x1b[2J.gguf: expected"],
  ])("%j", async (path, message) => {
    const { code, stdout, stderr } = await inspect(path);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("\u001b");
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it("with stack, code and cause where --debug asks for them, before or after the command", async () => {
    for (const args of [
      ["--debug", "inspect", "missing.gguf"],
      ["inspect", "missing.gguf", "--debug"],
    ]) {
      const { code, stderr } = await run(args, { cwd: folder.path });
      expect(code).toBe(3);
      expect(stderr).toMatch(/^error: missing\.gguf: there is no such file/);
      expect(stderr).toMatch(/^ +at /m);
      expect(stderr).toContain("FILE_MISSING");
      expect(stderr).toContain("[cause]");
    }
  });
});
