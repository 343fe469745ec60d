import { execFile } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  writeFile,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { removeLeftovers, writeTarget } from "../../src/gguf/target-file.js";
import { failure, useFolder } from "../support/data-files.js";
import { gguf, tensor } from "../support/gguf-files.js";

const root = useFolder();
const windows = process.platform === "win32";
let folder = "";
let rounds = 0;
beforeEach(async () => {
  folder = join(root.path, `${rounds++}`);
  await mkdir(folder);
});

const fill = async (handle: FileHandle) => {
  await handle.write("content");
  return "done";
};

describe("what a killed process leaves", () => {
  it("goes with the next run, another's files stay", async () => {
    const target = join(folder, "small.gguf");
    let killed = "";
    await writeTarget(target, [], {}, (_, temporary) => {
      killed = temporary;
      return Promise.resolve();
    });
    await writeFile(killed, "half");
    const theirs = [".small.gguf.0123456789ab.txt", ".small.gguf.mine.tmp", "small.gguf"];
    for (const name of theirs) await writeFile(join(folder, name), "theirs");
    await removeLeftovers(target);
    expect((await readdir(folder)).sort()).toEqual(theirs);
  });
});

describe("what it writes", () => {
  it("gives the name only to the whole file, from a temporary one beside it", async () => {
    const target = join(folder, "x".repeat(100) + ".gguf");
    const result = await writeTarget(target, [], {}, async (handle, temporary) => {
      const names = await readdir(folder);
      expect(names.map((name) => join(folder, name))).toEqual([temporary]);
      expect(names[0]).toMatch(/^\.x{40}\.[0-9a-f]{12}\.tmp$/);
      return fill(handle);
    });
    expect(result).toBe("done");
    expect(await readdir(folder)).toEqual(["x".repeat(100) + ".gguf"]);
    expect(await readFile(target, "utf8")).toBe("content");
  });

  it("writes over a file only when told to", async () => {
    const target = join(folder, "a.gguf");
    await writeFile(target, "before");
    let filled = false;
    const refused = writeTarget(target, [], {}, (handle) => {
      filled = true;
      return fill(handle);
    });
    const error = await failure(refused);
    expect(error).toMatchObject({ code: "TARGET_EXISTS", exitCode: 2, details: { path: target } });
    expect(error.message).toContain("--force");
    expect([filled, await readFile(target, "utf8")]).toEqual([false, "before"]);
    await writeTarget(target, [], { force: true }, fill);
    expect([await readFile(target, "utf8"), await readdir(folder)]).toEqual(["content", ["a.gguf"]]);
  });

  it("does not take a name that somebody else took meanwhile", async () => {
    const target = join(folder, "a.gguf");
    const taken = writeTarget(target, [], {}, async (handle) => {
      await writeFile(target, "theirs");
      return fill(handle);
    });
    expect((await failure(taken)).code).toBe("TARGET_EXISTS");
    expect([await readFile(target, "utf8"), await readdir(folder)]).toEqual(["theirs", ["a.gguf"]]);
  });

  it.skipIf(windows)("replaces a link, not what it leads to", async () => {
    const [target, elsewhere] = [join(folder, "link.gguf"), join(folder, "elsewhere")];
    await symlink(elsewhere, target);
    expect((await failure(writeTarget(target, [], {}, fill))).code).toBe("TARGET_EXISTS");
    expect(await readlink(target)).toBe(elsewhere);
    await writeFile(elsewhere, "theirs");
    await writeTarget(target, [], { force: true }, fill);
    expect((await lstat(target)).isFile()).toBe(true);
    expect([await readFile(target, "utf8"), await readFile(elsewhere, "utf8")]).toEqual(["content", "theirs"]);
  });
});

describe("what it refuses", () => {
  const refused = async (target: string, options = {}, work: typeof fill = fill) => {
    const error = await failure(writeTarget(target, [], options, work));
    expect(error.details["path"]).toBe(target);
    return {
      code: error.code,
      exitCode: error.exitCode,
      systemCode: error.details["systemCode"],
      message: error.message,
    };
  };

  it("folders, missing folders, impossible names", async () => {
    expect(await refused(folder, { force: true })).toMatchObject({ code: "TARGET_IS_FOLDER", exitCode: 2 });
    await writeFile(join(folder, "file"), "");
    const unwritable = { code: "TARGET_UNWRITABLE", exitCode: 5 };
    const missing = await refused(join(folder, "no", "a.gguf"));
    expect(missing).toMatchObject({ ...unwritable, systemCode: "ENOENT" });
    expect(missing.message).toContain("its folder does not exist; nothing was written");
    expect(await refused(join(folder, "file", "a.gguf"))).toMatchObject({ ...unwritable, systemCode: "ENOTDIR" });
    const long = await refused(join(folder, "x".repeat(300)));
    expect(long).toMatchObject({ ...unwritable, systemCode: "ENAMETOOLONG" });
    expect(await refused(join(folder, "a\0b"))).toMatchObject({ ...unwritable, systemCode: "ERR_INVALID_ARG_VALUE" });
    expect(await readdir(folder)).toEqual(["file"]);
  });

  it.skipIf(windows)("devices, even when told to write over", async () => {
    expect(await refused("/dev/null", { force: true })).toMatchObject({ code: "TARGET_EXISTS", exitCode: 2 });
    expect((await lstat("/dev/null")).isCharacterDevice()).toBe(true);
  });

  it.skipIf(windows)("a folder that may not be written to", async () => {
    await chmod(root.path, 0o755);
    await chmod(folder, 0o555);
    // Root may write anywhere, so it becomes `nobody` for a moment.
    const asRoot = process.geteuid?.() === 0;
    if (asRoot) process.seteuid?.(65_534);
    try {
      const error = await refused(join(folder, "a.gguf"));
      expect(error).toMatchObject({ code: "TARGET_UNWRITABLE", exitCode: 5, systemCode: "EACCES" });
      expect(error.message).toContain("Check the permissions of its folder");
    } finally {
      if (asRoot) process.seteuid?.(0);
      await chmod(folder, 0o755);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(["ENOSPC", "EDQUOT", "EFBIG", "EIO"])("%s while writing: the temporary file goes", async (code) => {
    const fails = () => Promise.reject(Object.assign(new Error(code), { code, syscall: "write" }));
    const error = await refused(join(folder, "a.gguf"), {}, fails);
    const full = { code: "TARGET_FULL", exitCode: 5, systemCode: code };
    expect(error).toMatchObject(code === "EIO" ? { ...full, code: "TARGET_UNWRITABLE" } : full);
    expect(error.message).toContain("nothing was written");
    expect(await readdir(folder)).toEqual([]);
  });

  it("any other failure of the work goes through unchanged", async () => {
    const target = join(folder, "a.gguf");
    for (const mine of [new InputError("MINE", "mine"), new TypeError("bug")]) {
      await expect(writeTarget(target, [], {}, () => Promise.reject(mine))).rejects.toBe(mine);
    }
    const controller = new AbortController();
    const cancelled = writeTarget(target, [], controller, async (handle) => {
      controller.abort();
      return fill(handle);
    });
    expect((await failure(cancelled)).code).toBe("CANCELLED");
    expect(await readdir(folder)).toEqual([]);
  });
});

describe.skipIf(windows)("a disk that takes no more", () => {
  /** Runs in a process whose files may not grow above 64 KiB; Vite translates the source as it does for the tests. */
  const SCRIPT = `
    const [root, source, target] = process.argv.slice(1);
    const { createViteServer } = await import("vitest/node");
    const vite = await createViteServer({ root, configFile: false, logLevel: "silent", server: { middlewareMode: true, watch: null, ws: false }, optimizeDeps: { noDiscovery: true } });
    const { readGguf } = await vite.ssrLoadModule("/src/gguf/read-gguf.ts");
    const { writeGguf } = await vite.ssrLoadModule("/src/gguf/write-gguf.ts");
    const error = await writeGguf(target, await readGguf(source)).then(() => null, (error) => error);
    await vite.close();
    console.log(JSON.stringify({ code: error?.code, exitCode: error?.exitCode, details: error?.details }));`;

  it("is an error with the system's code, and leaves nothing behind", async () => {
    const [source, target] = [join(folder, "source.gguf"), join(folder, "target.gguf")];
    await writeFile(source, gguf({ metadata: [], tensors: [tensor("big", [2 ** 16])] }));
    const repository = fileURLToPath(new URL("../..", import.meta.url));
    const limited = 'ulimit -f 64 && exec "$0" --input-type=module -e "$@"';
    const { stdout } = await promisify(execFile)(
      "bash",
      ["-c", limited, process.execPath, SCRIPT, repository, source, target],
      { cwd: repository },
    );
    expect(JSON.parse(stdout)).toEqual({
      code: "TARGET_FULL",
      exitCode: 5,
      details: { path: target, systemCode: "EFBIG" },
    });
    expect(await readdir(folder)).toEqual(["source.gguf"]);
  });
});
