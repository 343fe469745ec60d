import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { exportsOf, moduleDefinitions } from "../../native/import-libraries.mjs";
import { linkedLibraries } from "../../native/llama-cpp.mjs";
import { useFolder } from "../support/data-files.js";

const folder = useFolder();

/** A DLL with nothing but an export table, by the PE specification: one section, at 0x1000 in memory and 0x200 in the file. */
function dll(names: readonly string[], machine = 0x8664): Buffer {
  const bytes = Buffer.alloc(0x200 + 0x400);
  bytes.writeUInt16LE(0x5a4d, 0);
  bytes.writeUInt32LE(0x40, 60);
  bytes.writeUInt32LE(0x4550, 0x40);
  bytes.writeUInt16LE(machine, 0x44);
  bytes.writeUInt16LE(1, 0x46);
  bytes.writeUInt16LE(240, 0x54);
  const optional = 0x58;
  bytes.writeUInt16LE(0x20b, optional);
  bytes.writeUInt32LE(names.length === 0 ? 0 : 0x1000, optional + 112);
  const section = optional + 240;
  bytes.writeUInt32LE(0x1000, section + 12);
  bytes.writeUInt32LE(0x400, section + 16);
  bytes.writeUInt32LE(0x200, section + 20);
  bytes.writeUInt32LE(names.length, 0x200 + 24);
  bytes.writeUInt32LE(0x1040, 0x200 + 32);
  let at = 0x100;
  for (const [index, name] of names.entries()) {
    bytes.writeUInt32LE(0x1000 + at, 0x240 + 4 * index);
    at += bytes.write(`${name}\0`, 0x200 + at, "latin1");
  }
  return bytes;
}

describe("export tables of DLLs", () => {
  it("give the names and the processor", () => {
    const names = ["llama_decode", "llama_model_load_from_file", "llama_free"];
    expect(exportsOf(dll(names), "llama.dll")).toEqual({ machine: "x64", names });
    expect(exportsOf(dll(["a"], 0xaa64), "llama.dll").machine).toBe("arm64");
  });

  it("become module definition files, by which a linker makes import libraries", async () => {
    const library = await folder.write("llama.v0.5.0.dll", dll(["llama_decode", "llama_free"]));
    const [definition = ""] = moduleDefinitions([library], join(folder.path, "définitions of all"));
    expect(basename(definition)).toBe("llama.v0.5.0.def");
    expect(await readFile(definition, "utf8")).toBe(
      "LIBRARY llama.v0.5.0.dll\nEXPORTS\n  llama_decode\n  llama_free\n",
    );
  });

  it.each([
    ["an empty file", Buffer.alloc(0), "it has no MZ header"],
    ["a text", Buffer.alloc(100, "x"), "it has no MZ header"],
    ["one without exports", dll([]), "it exports nothing"],
    ["one for another processor", dll(["a"], 0x14c), "it is for another processor"],
  ])("%s is refused", (_, bytes, message) => {
    expect(() => exportsOf(bytes, "llama.dll")).toThrow(`llama.dll is no DLL that can be linked against: ${message}`);
  });
});

describe("the libraries that the addon uses", () => {
  it.each([
    [
      "Linux",
      ["libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"],
      ["libllama-common.so", "libggml-cpu-x64.so"],
    ],
    [
      "macOS with Metal",
      ["libggml-base.dylib", "libggml.metal.v0.5.0.dylib", "libllama.metal.v0.5.0.dylib"],
      ["libllama-common.dylib", "libggml-metal.so", "libggml-blas.so"],
    ],
    [
      "Windows",
      ["ggml-base.dll", "ggml.v0.5.0.dll", "llama.v0.5.0.dll"],
      ["llama-common.dll", "ggml-cpu-x64.dll", "llama-addon.lib", "llama-addon.node"],
    ],
  ])("are found under the names that node-llama-cpp gives them on %s", async (platform, linked, others) => {
    await mkdir(join(folder.path, platform));
    for (const name of [...linked, ...others]) await folder.write(`${platform}/${name}`, "");
    expect(
      linkedLibraries(join(folder.path, platform))
        .map((path) => basename(path))
        .sort(),
    ).toEqual(linked);
  });
});
