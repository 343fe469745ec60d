import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEMO, ended, ROOT, run, start } from "../support/cli-process.js";
import { temporaryFolder } from "../support/engine-files.js";
import { freePort, hasRpc, startRpcServer } from "../support/rpc-server.js";

const BUILD = join(ROOT, "native/build-program.mjs");
const build = (...args: string[]) => run(args, { main: BUILD });
const calibrate = ["calibrate", DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1"];
const title = (text: string) =>
  hasRpc ? text : `${text} (SKIPPED: no RPC backend; build it with: node native/build-program.mjs --rpc)`;

describe("lora-boundary-build", () => {
  it("teaches with --help, and takes no wrong options", async () => {
    const help = await build("--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const option of ["--rpc", "--cuda", "--vulkan", "--metal", "--jobs"]) expect(help.stdout).toContain(option);
    expect(await build()).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("at least one of --rpc") as string,
    });
    expect(await build("--rpc", "--jobs", "0")).toMatchObject({ code: 2, stdout: "" });
    expect(await build("--opencl")).toMatchObject({ code: 2, stdout: "" });
  });

  it.skipIf(process.platform === "win32")("leaves nothing behind when it is stopped, or fails", async () => {
    const before = buildFolders();
    const child = start(["--rpc", "--jobs", "1"], { main: BUILD });
    child.stderr?.on("data", (text: Buffer) => {
      if (text.toString().includes(" %")) child.kill("SIGINT");
    });
    expect(await ended(child)).toMatchObject({
      code: 130,
      stderr: expect.stringContaining("nothing has changed") as string,
    });
    expect(buildFolders()).toEqual(before);
    if (process.platform === "darwin") return;
    const failed = await build("--metal");
    expect(failed).toMatchObject({ code: 5, stdout: "" });
    expect(failed.stderr).toMatch(/could not configure the build:[^]*Nothing has changed/);
    expect(buildFolders()).toEqual(before);
  });
});

function buildFolders(): string[] {
  const folder = join(ROOT, "native/build");
  return readdirSync(folder).sort();
}

it("an address that is none ends with 2 and an example", async () => {
  const { code, stdout, stderr } = await run([...calibrate, "--rpc", "localhost:50052,elsewhere"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("Expected host:port, port from 1 to 65535, for `rpc` but received elsewhere");
});

describe.skipIf(!hasRpc)(title("calibrate --rpc"), () => {
  it("without the server ends with 5 and what was tried", async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await run([...calibrate, "--rpc", address]);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toContain(`could not use 1 of 1: ${address}: `);
    const doctor = await run(["doctor", "--rpc", address]);
    expect(doctor.code).toBe(5);
    expect(doctor.stdout).toContain("1 problem with what computes.");
  });

  it("plans what travels, and keeps what is known when the server is killed", async () => {
    await using server = await startRpcServer();
    await using folder = await temporaryFolder();
    const doctor = await run(["doctor", "--rpc", server.address]);
    expect(doctor).toMatchObject({ code: 0, stderr: "" });
    expect(doctor.stdout).toMatch(new RegExp(`RPC0 +${server.address} \\(gpu\\)`));
    const json = join(folder.path, "partial.json");
    const child = start([...calibrate, "--rpc", server.address, "--batch-tokens", "64", "--json", json]);
    child.stderr?.on("data", (text: Buffer) => {
      // Some seconds after the plan some batches are done, and by far not all.
      if (text.toString().includes("Network: at most")) setTimeout(() => void server.kill(), 5_000);
    });
    const { code, stderr } = await ended(child);
    expect(stderr).toContain(`error: The RPC server ${server.address} went away`);
    expect(code).toBe(5);
    const { partial, data } = JSON.parse(await readFile(json, "utf8")) as {
      readonly partial: { readonly ofSamples: number };
      readonly data: { readonly samples: number };
    };
    expect(data.samples).toBeGreaterThanOrEqual(2);
    expect(data.samples).toBeLessThan(partial.ofSamples);
  });
});
